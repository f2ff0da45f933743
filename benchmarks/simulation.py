"""A study on any number of workers, simulated: the service's own plan and schedule, and a clock that is a number.

The driver is one server. As in ``service/driver.py`` it submits what the schedule gives, asks what has come back
and takes one receipt after the other; each of these takes seconds that were measured (``served``). A worker takes
the next shard that was sent, and is busy with it for its estimated seconds times a random ratio. Every second of
every worker is accounted for: see ``Simulated``.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..service.driver import TOGETHER
from ..service.schedule import Scheduler
from ..workers.task import Shard

_WAIT_SECONDS = 0.5  # as the driver waits at most before it looks around


@dataclass(frozen=True)
class Served:
    """Seconds for which the driver is busy, and those on the way to a worker and back."""

    dispatch: float = 0.0
    """A shard is sent, and its outcome fetched."""
    asked: float = 0.0
    """What has come back is asked for: for every shard in flight."""
    receipt: float = 0.0
    """A receipt is taken, whatever its rows."""
    row: float = 0.0
    """And for each of its rows."""
    latency: float = 0.0
    """From the driver to a worker, and from there back."""
    transaction: float = 0.0
    """What came back together is committed."""


@dataclass(frozen=True)
class Luck:
    """How true seconds differ from estimates. Ratios are log-normal; ``deaths`` and ``stragglers`` are shares."""

    shapes: float = 0.0
    """Standard deviation of ln(true / estimated) from shape to shape: shards of equal estimates a point are wrong
    alike."""
    runs: float = 0.0
    """And from one shard of a shape to the next."""
    start_up: float = 0.0
    """Seconds of a worker before its first shard."""
    stragglers: float = 0.0
    slower: float = 4.0
    """What a straggler takes of a shard's time."""
    deaths: float = 0.0
    """Of workers: some way through a shard; another worker starts in its place."""
    seed: int = 0


@dataclass
class Simulated:
    """What became of a study on so many workers. Seconds of all workers together, but for ``makespan`` (from the
    beginning of planning to the last commit), ``planning`` and the ``driver``'s, by what it did."""

    workers: int
    planning: float
    makespan: float = 0.0
    shards: int = 0
    busy: float = 0.0
    """With shards that were delivered and taken."""
    lost: float = 0.0
    """With shards that were not: the worker died, or the shard was given up."""
    started: float = 0.0
    """Starting."""
    starved: float = 0.0
    """Waiting for a shard."""
    tail: float = 0.0
    """Behind a worker's last shard."""
    driver: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DRIVER, 0.0))
    ended: int = 0
    """Points that are done."""
    failed: int = 0
    """Points that took two workers with them."""

    @property
    def ideal(self) -> float:
        """The makespan of workers that do nothing but compute."""
        return self.busy / self.workers

    @property
    def efficiency(self) -> float:
        """Ideal over makespan."""
        return self.ideal / self.makespan

    @property
    def driver_share(self) -> float:
        """How much of its time the driver is busy once it has planned."""
        return sum(self.driver.values()) / (self.makespan - self.planning)

    @property
    def losses(self) -> dict[str, float]:
        """Shares of all workers' time that were not spent with shards which were delivered; with those that were
        they are 1."""
        all_ = self.workers * self.makespan
        return {
            "planning": self.planning / self.makespan,
            "starting": self.started / all_,
            "waiting for a shard": self.starved / all_,
            "the last shards": self.tail / all_,
            "lost shards": self.lost / all_,
        }

    @property
    def bottleneck(self) -> str:
        """What the driver is busiest with where it is the bottleneck, else what takes most of the workers' time."""
        if self.driver_share > _SATURATED:
            return DRIVER[max(self.driver, key=lambda name: self.driver[name])]
        return max(self.losses, key=lambda name: self.losses[name])


DRIVER = {
    "dispatch": "the driver: sending shards",
    "asked": "the driver: asking what has come back",
    "receipt": "the driver: receipts, whatever their rows",
    "transaction": "the driver: transactions",
    "row": "the index: rows",
}
"""What the driver does after planning, and how that is called as a bottleneck."""
_SATURATED = 0.9


def simulate(
    shards: Iterable[Shard],
    workers: int,
    served: Served,
    luck: Luck = Luck(),
    planning: float = 0.0,
    window: int | None = None,
) -> Simulated:
    """The driver's loop (``service.driver``) on so many workers; ``window`` shards in flight, two a worker as with
    Ray where it is not given."""
    shards = list(shards)
    schedule = Scheduler(shards, window or 2 * workers)
    found = Simulated(workers, planning, shards=len(shards))
    cluster = _Cluster(found, served, luck)
    clock = planning

    def busy(kind: str, seconds: float) -> float:
        found.driver[kind] += seconds
        return clock + seconds

    while not schedule.finished:
        for shard in schedule.next(clock):
            clock = busy("dispatch", served.dispatch)
            cluster.submit(shard, clock)
        clock = busy("asked", served.asked * cluster.in_flight)
        clock, back = cluster.wait(clock)
        open_ = 0  # receipts of this transaction
        for shard_id, seconds, lost in back:
            if lost:
                failed = schedule.lost(shard_id)
            elif shard := schedule.done(shard_id, clock):
                clock = busy("transaction", 0.0 if open_ else served.transaction)
                open_ = (open_ + 1) % TOGETHER
                clock = busy("receipt", served.receipt)
                clock = busy("row", served.row * len(shard.points))
                found.busy += seconds
                found.ended += len(shard.points)
                continue
            else:
                failed = {}
            found.lost += seconds
            found.failed += len(failed)
        for shard_id in schedule.overdue(clock):
            cluster.cancel(shard_id)
            found.failed += len(schedule.lost(shard_id))
    found.makespan = clock
    found.lost += cluster.given_up
    found.tail = sum(max(0.0, clock - free) for free, _ in cluster.free)
    return found


class _Cluster:
    """Workers that take the shards in the order in which they were sent: the next goes to whoever is free first."""

    def __init__(self, found: Simulated, served: Served, luck: Luck) -> None:
        self.free: list[tuple[float, bool]] = [(found.planning, True)] * found.workers
        """When each worker is free, and whether it has still to start; a heap."""
        self.given_up = 0.0
        self._found, self._served, self._luck = found, served, luck
        self._flight: dict[str, tuple[int, float]] = {}
        self._back: list[tuple[float, int, str, float, bool]] = []
        self._sent = 0
        self._random = np.random.default_rng((luck.seed, 0))
        self._ratios: dict[str, float] = {}

    @property
    def in_flight(self) -> int:
        """Shards that were sent and have not come back."""
        return len(self._flight)

    def submit(self, shard: Shard, now: float) -> None:
        """Send a shard."""
        free, fresh = heapq.heappop(self.free)
        start = max(free, now + self._served.latency)
        self._found.starved += start - free
        if fresh:
            self._found.started += self._luck.start_up
            start += self._luck.start_up
        deaths = self._luck.deaths
        seconds, lost = self._seconds(shard), bool(deaths) and self._random.random() < deaths
        if lost:
            seconds *= self._random.random()
        heapq.heappush(self.free, (start + seconds, lost))
        self._sent += 1
        self._flight[shard.shard_id] = (self._sent, seconds)
        back = start + seconds + self._served.latency
        heapq.heappush(self._back, (back, self._sent, shard.shard_id, seconds, lost))

    def wait(self, now: float) -> tuple[float, list[tuple[str, float, bool]]]:
        """What has come back by now, or else the next to come and when; nothing after half a second."""
        back: list[tuple[str, float, bool]] = []
        until = now
        while self._back and (
            self._back[0][0] <= until or (not back and self._back[0][0] <= now + _WAIT_SECONDS)
        ):
            at, sent, shard_id, seconds, lost = heapq.heappop(self._back)
            if self._flight.get(shard_id, (0, 0.0))[0] != sent:
                continue  # it was given up
            until = max(until, at)
            del self._flight[shard_id]
            back.append((shard_id, seconds, lost))
        return (until, back) if back else (now + _WAIT_SECONDS, back)

    def cancel(self, shard_id: str) -> None:
        """Give a shard up. Its worker is busy with it to its end all the same: that is the worse case."""
        self.given_up += self._flight.pop(shard_id)[1]

    def _seconds(self, shard: Shard) -> float:
        """The true seconds of this attempt."""
        luck, ratio = self._luck, 1.0
        if luck.shapes:
            key = f"{shard.seconds / len(shard.points):.9g}"  # of the shape alone: the same in every plan
            if key not in self._ratios:
                random = np.random.default_rng((luck.seed, 1, zlib.crc32(key.encode())))
                self._ratios[key] = math.exp(luck.shapes * random.standard_normal())
            ratio = self._ratios[key]
        if luck.runs:
            ratio *= math.exp(luck.runs * self._random.standard_normal())
        if luck.stragglers and self._random.random() < luck.stragglers:
            ratio *= luck.slower
        return ratio * shard.seconds
