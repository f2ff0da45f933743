"""Whole studies: 3,000 mixed points from a grid to stored rows, on two cores, against other ways of running
them.

Every contestant is a process from its start to its end, with two workers of one thread each. Ray Tune and
Optuna with a point a trial run a part of the study, evenly spread over it, and the time of their trials is
scaled to all points.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from .mixed import one_a_shape, points, require_ours, spread
from .peers import PEERS
from .peers.process import ONE_THREAD, PeerFailed
from .results import Result, Target
from .timing import Contestant, Run, interleaved, median, ratio


class Rule(NamedTuple):
    """How a peer runs: on so many points of the study (0: all of them), and how much faster we are to be."""

    part: int
    bound: float | None
    what: str


RULES = {
    "ray_trials": Rule(24, 100.0, "× Ray Tune, a point a trial"),
    "ray_batches": Rule(0, 2.0, "× Ray Tune, batches"),
    "optuna": Rule(100, None, "× Optuna"),
    "jax_joblib": Rule(0, 1.3, "× JAX under joblib"),
}
_WHOLE, _WORKERS = "whole study, two workers", "two workers against one"
_HOUR = 3600
_KERNELS = 600
"""Points whose kernels run in one process and in two at once."""


def studies(run: Run) -> Iterator[Result]:
    """The whole study against peers; and two workers against one."""
    several = points(run.quick)
    if run.wants(_WHOLE):
        yield _against_peers(run, len(several))
    if run.wants(_WORKERS):
        yield _workers(run, len(several))


def _against_peers(run: Run, count: int) -> Result:
    several = points(run.quick)
    peers = [name for name in RULES if PEERS[name].installed]
    for name in peers:
        run.say(f"{name}: equal?")
        chosen = one_a_shape(several)
        require_ours(name, several, _process(name, chosen, run.quick, rows=True)["rows"])
    contestants: dict[str, Contestant] = {
        "ours": lambda: _process("ours_2", range(count), run.quick)["process"]
    }
    for name in peers:
        contestants[name] = _scaled(name, spread(several, RULES[name].part or count), count, run.quick)
    run.say(_WHOLE)
    rounds = interleaved(
        contestants, rounds=1 if run.quick else 3, seconds=400.0, least=1, warm=frozenset(contestants)
    )
    ahead = {name: ratio(rounds, name, "ours") for name in peers}
    parts = [f"{n}: {RULES[n].part} points" for n in peers if RULES[n].part and not run.quick]
    return Result(
        "studies",
        f"{_WHOLE}, {count:,} points",
        median(rounds["ours"]),
        others={name: median(rounds[name]) if name in rounds else None for name in RULES},
        measured=ahead,
        targets=[
            Target(RULES[name].what, ahead[name], bound)
            for name in peers
            if (bound := RULES[name].bound) is not None and not run.quick
        ],
        note=f"scaled from a part: {', '.join(parts)}" if parts else "",
        details={"rounds": {name: list(values) for name, values in rounds.items()}},
    )


def _workers(run: Run, count: int) -> Result:
    """One worker and two; and the machine's own part in it: the same kernels in one process and in two at once."""
    part = spread(points(run.quick), _KERNELS)
    contestants = {
        **{f"ours_{n}": _contestant(f"ours_{n}", count, run.quick) for n in (1, 2)},
        "alone": lambda: _at_once(1, part, run.quick),
        "both": lambda: _at_once(2, part, run.quick),
    }
    rounds = interleaved(
        contestants, rounds=1 if run.quick else 3, seconds=400.0, least=1, warm=frozenset(contestants)
    )
    faster, most = ratio(rounds, "ours_1", "ours_2"), ratio(rounds, "alone", "both")
    return Result(
        "studies",
        f"{_WORKERS}, {count:,} points",
        median(rounds["ours_2"]),
        limit=median(rounds["ours_1"]) / most,
        targets=[] if run.quick else [Target("× one worker", faster, 1.8)],
        note=f"nothing but kernels, in two processes at once: {most:.2f} × one",
        details={
            "one worker (s)": median(rounds["ours_1"]),
            "rounds": {n: list(v) for n, v in rounds.items()},
        },
    )


def _at_once(processes: int, part: Sequence[int], quick: bool) -> float:
    """Seconds of the kernels of these points in so many processes at once, over their number."""
    with ThreadPoolExecutor(processes) as threads:
        found = list(threads.map(lambda _: _process("kernel", part, quick)["loop"], range(processes)))
    return max(found) / processes


def _contestant(who: str, count: int, quick: bool) -> Contestant:
    return lambda: _process(who, range(count), quick)["process"]


def _scaled(who: str, chosen: Sequence[int], count: int, quick: bool) -> Contestant:
    """A peer on some of the points: the time of its trials is scaled to all, that of its start is not."""

    def once() -> float:
        found = _process(who, chosen, quick)
        return found["process"] - found["loop"] + found["loop"] * count / len(chosen)

    return once


def _process(who: str, indices: Sequence[int], quick: bool, rows: bool = False) -> dict[str, Any]:
    """Run a study in a process and a folder of its own; what it prints, and the seconds of its ``process``."""
    with tempfile.TemporaryDirectory(prefix="longlag-bench-") as folder:
        listed, store = Path(folder) / "indices.json", Path(folder) / "store"
        store.mkdir()
        listed.write_text(json.dumps(list(indices)))
        flags = ["--quick"] * quick + ["--rows"] * rows
        command = [
            sys.executable,
            "-m",
            "longlag.benchmarks.study_process",
            who,
            str(listed),
            str(store),
            *flags,
        ]
        began = time.perf_counter()
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **ONE_THREAD},
            timeout=_HOUR,
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise PeerFailed(f"{who} failed: {last}: leave it out, or install what 'uv sync --group peers' does")
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "process": seconds}
