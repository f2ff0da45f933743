"""A whole study in a process of its own: ``python -m longlag.benchmarks.study_process WHO INDICES.json
FOLDER``.

Prints one line of JSON: ``loop``, the seconds of the work without the process's start, and with ``--rows``
the rows.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..workers.kernel import Task
from ..workers.kernel import run as run_kernel
from .mixed import NAME, PROBES, Rows, batches, study

_STACK = 16
Runner = Callable[[Sequence[int], bool, Path], tuple[float, Rows]]


def ours(workers: int, indices: Sequence[int], quick: bool, folder: Path) -> tuple[float, Rows]:
    """The client as users have it; counts the rows that can be asked for."""
    from ..service.client import Client

    began = time.perf_counter()
    client = Client(data=folder, workers=workers, ray="inline" if quick else "local")
    client.run(study(quick))
    found = int(
        client.sql(f"select count(*) n from study_runs where study = '{NAME}' and status = 'ok'")["n"][0]
    )
    if found != study(quick).size:
        raise RuntimeError(f"{found} of {study(quick).size} points are ok")
    return time.perf_counter() - began, []


def kernel(indices: Sequence[int], quick: bool, folder: Path) -> tuple[float, Rows]:
    """Nothing but what a worker computes: stacks of these points, no Ray, no files."""
    several = list(study(quick).points())
    stacks = batches(several, indices, _STACK)
    began = time.perf_counter()
    for stack in stacks:
        run_kernel([Task(several[i]) for i in stack], PROBES)
    return time.perf_counter() - began, []


def runner(who: str) -> Runner:
    """What runs the study, by name; ``ours_1`` and ``ours_2`` have so many workers, ``kernel`` has none."""
    if who.startswith("ours_"):
        return partial(ours, int(who.removeprefix("ours_")))
    if who == "kernel":
        return kernel
    if who in ("ray_trials", "ray_batches"):
        from .peers import ray_tune

        return partial(ray_tune.run, batched=who == "ray_batches")
    if who == "optuna":
        from .peers import optuna_journal

        return optuna_journal.run
    from .peers import jax_joblib

    return jax_joblib.run


def main(arguments: Sequence[str]) -> None:
    """Run and print."""
    who, indices, folder = arguments[:3]
    seconds, rows = runner(who)(json.loads(Path(indices).read_text()), "--quick" in arguments, Path(folder))
    print(json.dumps({"loop": seconds, "rows": rows if "--rows" in arguments else []}))


if __name__ == "__main__":
    main(sys.argv[1:])
