"""Optuna: a point a trial, two processes on one journal file; a trial's curves are its user attributes."""

# pyright: reportMissingImports=false
from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..mixed import Rows, points

STUDY = "bench"


def run(indices: Sequence[int], quick: bool, folder: Path) -> tuple[float, Rows]:
    """Seconds from the first trial to the last, processes included, and their rows."""
    path = folder / "journal.log"
    began = time.perf_counter()
    study = _study(path)
    for index in indices:
        study.enqueue_trial({"index": index})
    context = multiprocessing.get_context("spawn")
    halves = [context.Process(target=_work, args=(path, quick, len(indices[k::2]))) for k in range(2)]
    for process in halves:
        process.start()
    for process in halves:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a process of Optuna ended with {process.exitcode}")
    seconds = time.perf_counter() - began
    trials = [trial for trial in _study(path).trials if "row" in trial.user_attrs]
    return seconds, [trial.user_attrs["row"] for trial in trials]


def _study(path: Path) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(study_name=STUDY, storage=storage, load_if_exists=True, sampler=sampler)


def _work(path: Path, quick: bool, count: int) -> None:
    from .torch_rows import rows

    several = points(quick)

    def objective(trial: Any) -> float:
        index = trial.suggest_int("index", 0, len(several) - 1)
        row = rows(several, [index])[0]
        trial.set_user_attr("row", row)
        return row["adjoint"][-1]

    _study(path).optimize(objective, n_trials=count)
