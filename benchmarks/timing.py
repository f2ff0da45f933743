"""Times that can be compared: contestants in turns, after a warm-up, on one core with one thread; medians of
rounds.

On a machine that others share, absolute seconds mean little and ratios of one run much: what slows one round
slows all of it. So each round runs every contestant once, and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

Contestant = Callable[[], float]
"""Runs once and returns the seconds that it took."""
Rounds = Mapping[str, Sequence[float]]
"""By contestant: seconds of every round; one that is slow may have fewer."""


def _silent(text: str) -> None:
    return None


@dataclass(frozen=True)
class Run:
    """How a group is to be run: ``quick`` with reduced sizes, ``only`` workloads whose name has this text in it,
    ``say`` for what is being done right now."""

    quick: bool = False
    only: str = ""
    say: Callable[[str], None] = _silent

    def wants(self, workload: str) -> bool:
        """Whether a workload is to be run, and if so, that it is."""
        wanted = self.only in workload
        if wanted:
            self.say(workload)
        return wanted


def clocked(function: Callable[[], object]) -> Contestant:
    """A function of this process as a contestant."""

    def once() -> float:
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    return once


def interleaved(
    contestants: Mapping[str, Contestant],
    rounds: int = 9,
    seconds: float = 20.0,
    least: int = 3,
    warm: frozenset[str] = frozenset(),
) -> dict[str, list[float]]:
    """Every contestant once a round, behind one round of warm-up that does not count (not for who is ``warm``).

    Stops after so many ``rounds``, or after ``seconds`` where ``least`` rounds are done. The order turns from
    round to round, so that nobody always follows the same one. Who takes more than a quarter of the ``seconds``
    runs in the first round only.
    """
    names = list(contestants)
    found: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        if name not in warm:
            contestants[name]()
    began = time.perf_counter()
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            if not found[name] or found[name][0] < seconds / 4:
                found[name].append(contestants[name]())
        if i + 1 >= least and time.perf_counter() - began > seconds:
            break
    return found


def median(values: Sequence[float]) -> float:
    """The median of some rounds."""
    return statistics.median(values)


def ratio(rounds: Rounds, above: str, below: str) -> float:
    """The median, over the rounds in which both ran, of the one's time over the other's."""
    return median([a / b for a, b in zip(rounds[above], rounds[below], strict=False)])


@contextmanager
def one_core() -> Iterator[int | None]:
    """This process on one core, the last one that it may use; None where the system cannot do that."""
    if not hasattr(os, "sched_getaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)
