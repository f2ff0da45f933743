"""Who is computed next: a queue with a bounded window in flight, and what becomes of shards that are lost.

Pure: no clock, no workers, no database; the driver tells it what happened and when. Whatever is lost, late or
delivered twice, every point ends exactly once: in a shard that is done, or as one that ``lost`` gives back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ..workers.points import Point
from ..workers.task import Shard

PATIENCE = 120.0
"""Seconds beyond any estimate before an attempt may be given up."""
SLACK = 20.0
"""And so many times the estimate of everything in flight: a machine may be slow."""


@dataclass(frozen=True)
class _Entry:
    shard: Shard
    deaths: int = 0
    suspect: bool = False
    """Half of a shard that its workers did not survive: a third death is not waited for, it is halved again."""
    submitted: float = 0.0
    deadline: float = 0.0


class Scheduler:
    """Shards in their order, at most ``window`` in flight.

    A shard whose worker died is queued again, in front. Where the worker dies twice the shard is halved, its halves
    at every further death, until the point is alone; a point alone that took two workers with it has failed.
    """

    def __init__(self, shards: Iterable[Shard], window: int) -> None:
        self._queue = deque(_Entry(shard) for shard in shards)
        self._flight: dict[str, _Entry] = {}
        self._window = window
        self._work = 0.0
        """Seconds of everything in flight, kept up to date: a sum at every submission is a square of the window."""
        self._quiet = math.inf
        """No deadline of anything in flight is earlier; so most of the time none has to be looked at."""
        self._delivered = 0.0
        self.losses = 0
        """How many shards in a row were lost; many say that it is not the points' fault."""

    @property
    def finished(self) -> bool:
        """Whether every point has ended."""
        return not self._queue and not self._flight

    @property
    def in_flight(self) -> tuple[str, ...]:
        """Ids of the shards that are submitted and have not come back."""
        return tuple(self._flight)

    @property
    def waiting(self) -> int:
        """How many shards are queued."""
        return len(self._queue)

    def next(self, now: float) -> list[Shard]:
        """The shards to submit now; they are in flight from here on."""
        shards = []
        while self._queue and len(self._flight) < self._window:
            entry = self._queue.popleft()
            self._work += entry.shard.seconds
            deadline = now + PATIENCE + SLACK * self._work
            self._flight[entry.shard.shard_id] = _Entry(
                entry.shard, entry.deaths, entry.suspect, submitted=now, deadline=deadline
            )
            self._quiet = min(self._quiet, deadline)
            shards.append(entry.shard)
        return shards

    def _back(self, shard_id: str) -> _Entry | None:
        """Take a shard out of those in flight."""
        entry = self._flight.pop(shard_id, None)
        if entry is not None:
            self._work = self._work - entry.shard.seconds if self._flight else 0.0
        return entry

    def done(self, shard_id: str, now: float = 0.0) -> Shard | None:
        """A shard came back. None where it is not awaited any more: a second delivery, or it was halved."""
        self._delivered, self.losses = max(self._delivered, now), 0
        if entry := self._back(shard_id):
            return entry.shard
        entry = next((queued for queued in self._queue if queued.shard.shard_id == shard_id), None)
        if entry is None:
            return None
        self._queue.remove(entry)  # it was given up, and came back after all
        return entry.shard

    def lost(self, shard_id: str, reason: str = "its worker died") -> dict[Point, str]:
        """A shard's worker died, or was given up. Returns the points that have failed by it, with a message."""
        entry = self._back(shard_id)
        if entry is None:
            return {}
        self.losses += 1
        shard, deaths = entry.shard, entry.deaths + 1
        alone = len(shard.points) == 1
        if deaths < 2 and (alone or not entry.suspect):
            self._queue.appendleft(_Entry(shard, deaths, entry.suspect))
            return {}
        if alone:
            return {shard.points[0]: f"computed alone, twice: {reason}"}
        middle = len(shard.points) // 2
        for points in (shard.points[middle:], shard.points[:middle]):
            part = Shard.of(points, shard.probes, shard.checkpoints, shard.stack)
            self._queue.appendleft(_Entry(part, suspect=True))
        return {}

    def overdue(self, now: float) -> list[str]:
        """Shards in flight far beyond their estimate, while others came back that were submitted no earlier.

        Without the second condition a cluster that is busy with other people's work would look dead.
        """
        if now <= self._quiet:
            return []
        self._quiet = min((entry.deadline for entry in self._flight.values()), default=math.inf)
        return [
            shard_id
            for shard_id, entry in self._flight.items()
            if now > entry.deadline and self._delivered > entry.submitted
        ]
