"""A plan: which points are missing, stacked by shape and cut into shards. Pure: no clock, no file, no database.

A shard is a second or two of work, so that little is lost with a worker, files are few and progress is seen; more
where there are so many workers that the driver would be late with the next one. The longest start first, and the
last ones are shorter and shorter, so that all workers finish together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..workers import cost
from ..workers.errors import TooLarge
from ..workers.many import Points
from ..workers.points import Point
from ..workers.task import Shard

TARGET = 1.5
"""Seconds of work in a shard at least, where memory allows and a point is not longer."""
SERVED = 6e-3
"""Seconds that the driver is busy with a shard, whatever its rows: sends it, takes its receipt, commits."""
_EACH = 16
"""Shards of a worker, where the driver can serve so many."""
_FINE = 4
"""The last shards are so much shorter."""
_LARGEST = 10_000
"""Points in a shard at most: what is sent to a worker stays small."""


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``seconds`` are of one core; ``memory`` is of the hungriest worker, in bytes."""

    shards: tuple[Shard, ...] = field(repr=False)
    points: int
    present: int
    workers: int
    lacking: dict[tuple[str, ...], int] = field(default_factory=dict)
    """How many points lack which probes."""
    failed: int = 0
    """How many of the missing have been tried before, and failed."""

    @property
    def missing(self) -> int:
        """Points to compute."""
        return self.points - self.present

    @property
    def seconds(self) -> float:
        """Estimated seconds on one core."""
        return sum(shard.seconds for shard in self.shards)

    @property
    def elapsed(self) -> float:
        """Estimated seconds on all workers."""
        return max([self.seconds / self.workers, *(shard.seconds for shard in self.shards[:1])])

    @property
    def memory(self) -> int:
        """Bytes that the hungriest worker needs."""
        return max((shard.memory for shard in self.shards), default=0)


def plan(
    points: Iterable[Point | Points],
    lacks: Callable[[str], tuple[str, ...]] | tuple[str, ...],
    workers: int,
    memory: int,
    target: float | None = None,
) -> Plan:
    """The shards that complete these points on so many workers of ``memory`` bytes each, longest first.

    Points may come one by one or many together (``Study.parts``), which takes a small part of the memory. ``lacks``
    gives the probes that a point (by its id) is missing, none where it is finished; or it is what every point is
    missing. ``target``: seconds of a shard, without one ``target_of`` all that is to be done. The same points in
    the same order give the same shards. Raises TooLarge for a point that does not fit a worker.
    """
    total, groups = 0, _Groups()
    for part in _parts_of(points):
        total += len(part)
        for shape, probes, members in _lacking(part, lacks):
            groups.setdefault((shape, probes), []).append(members)
    works = [  # by seed: a shard draws what its points share once
        _Work(Points.joined(several).by_seed(), probes, memory) for (_, probes), several in groups.items()
    ]
    lacking: Counter[tuple[str, ...]] = Counter()
    for work in works:
        lacking[work.probes] += len(work.points)
    if target is None:
        target = target_of(sum(work.seconds for work in works), workers)
    pieces = sorted((p for work in works for p in _cut(work, target)), key=_seconds, reverse=True)
    shards = [Shard.of(p.points, p.work.probes, costs=p.work.costs) for p in _taper(pieces, workers, target)]
    return Plan(tuple(shards), total, total - lacking.total(), workers, dict(lacking))


def target_of(seconds: float, workers: int) -> float:
    """Seconds of a shard, for so many seconds of work on so many workers.

    The driver serves one shard at a time. While it serves every worker once each should still be computing, also
    at the end, where shards are ``_FINE`` times shorter. No longer than that; and a worker should have ``_EACH``.
    Where there is too little work for both, t + SERVED · seconds / t is least: one shard, and serving all of them.
    """
    fed = _FINE * SERVED * workers
    return max(TARGET, min(fed, max(seconds / workers / _EACH, math.sqrt(SERVED * seconds))))


_Groups = dict[tuple[Any, tuple[str, ...]], list[Points]]


def _parts_of(points: Iterable[Point | Points]) -> Iterator[Points]:
    """Points that come one by one are taken together, up to the next that come together."""
    if isinstance(points, Points):
        points = [points]
    alone: list[Point] = []
    for one in points:
        if isinstance(one, Point):
            alone.append(one)
            continue
        if alone:
            yield Points.of(alone)
            alone = []
        yield one
    if alone:
        yield Points.of(alone)


def _lacking(
    part: Points, lacks: Callable[[str], tuple[str, ...]] | tuple[str, ...]
) -> Iterator[tuple[Any, tuple[str, ...], Points]]:
    """The points that lack something, by shape and by what they lack."""
    for shape, members in part.by_shape():
        if not callable(lacks):
            yield shape, lacks, members
            continue
        wanted: dict[tuple[str, ...], list[int]] = {}
        for place, point_id in enumerate(members.ids()):
            wanted.setdefault(lacks(point_id), []).append(place)
        for probes, places in wanted.items():
            if probes:
                yield shape, probes, members if len(wanted) == 1 else members.take(np.array(places))


class _Work:
    """Points of one shape and what they lack; what they cost, and how ``many`` of them fit a worker.

    Raises TooLarge where not even one does.
    """

    def __init__(self, points: Points, probes: tuple[str, ...], memory: int) -> None:
        self.points, self.probes = points, probes
        self.costs = cost.Costs.within(points[0], probes, memory)
        self.many = self.costs.most(memory)
        if self.many < 1:
            raise TooLarge(_too_large(points[0], self.costs.memory(1), memory))

    @property
    def seconds(self) -> float:
        return self.costs.seconds * len(self.points)


class _Piece(NamedTuple):
    """Some of the points of a work, and their estimated seconds."""

    work: _Work
    points: Points
    seconds: float


def _seconds(piece: _Piece) -> float:
    return piece.seconds


def _cut(work: _Work, target: float) -> list[_Piece]:
    """Points of one shape in equal parts, each within the time and the memory of a shard."""
    most = max(1, min(work.many, int(target / work.costs.seconds), _LARGEST))
    return _parts(_Piece(work, work.points, work.seconds), math.ceil(len(work.points) / most))


def _parts(piece: _Piece, count: int) -> list[_Piece]:
    size = len(piece.points)
    edges = [size * k // count for k in range(count + 1)]
    return [
        piece._replace(points=piece.points[a:b], seconds=piece.seconds * (b - a) / size)
        for a, b in pairwise(edges)
    ]


def _taper(pieces: list[_Piece], workers: int, target: float) -> list[_Piece]:
    """The last seconds of every worker in finer and finer parts, longest first again.

    A part takes at most half of what would then be left for each worker, after the guided self-scheduling of
    Polychronopoulos & Kuck (1987); but no less than ``target / _FINE``.
    """
    if workers < 2:
        return pieces
    tail, left = len(pieces), 0.0
    fine: list[_Piece] = []
    while tail and left < 2 * workers * target:
        tail -= 1
        piece = pieces[tail]
        left += piece.seconds
        longest = max(target / _FINE, min(target, left / workers / 2))
        fine += _parts(piece, min(len(piece.points), math.ceil(piece.seconds / longest)))
    return pieces[:tail] + sorted(fine, key=_seconds, reverse=True)


def _too_large(point: Point, need: int, have: int) -> str:
    enough = math.ceil(need / 2**28) / 4
    return (
        f"{point!r} needs about {need / 2**30:.2f} GiB and a worker may use {have / 2**30:.2f} GiB: lower length, "
        f"batch_size, hidden_size or loss_times, or raise --memory (LONGLAG_MEMORY) to {enough:g}GiB"
    )
