"""The driver: the process that holds a job and takes it down the whole road, from a grid to rows in the index."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from ..workers.errors import BadFile
from ..workers.task import Receipt, Shard
from .errors import LonglagError, first_line
from .executors import Ahead, ClusterLost, Executor, Outcome, make_executor
from .index import Delivery, Index, RevisionInfo
from .jobs import JobRecord, Jobs
from .lease import Cancelled, Lease
from .plan import Plan, plan
from .schedule import Scheduler
from .settings import Settings
from .store import Store
from .study import Study

INLINE_SECONDS = 2.0
"""Less work than that is done in the driver itself: Ray takes longer to start."""
_MANY = 20_000  # points whose plan takes as long as a good part of Ray's start
_WAIT_SECONDS = 0.5
TOGETHER = 64
"""Receipts of one transaction at most, of those that came back together."""
_ROWS = 20_000  # and with so many rows no further one
_STARTS = 3  # times that a Ray of our own is started, should its main processes be killed
_HOPELESS = (
    20  # losses in a row, for every shard in flight and once more: a halved shard alone makes up to 16
)


@dataclass(frozen=True)
class Progress:
    """How far a job is, in points; ``rate`` in points a second and ``left`` in seconds, where they are known."""

    state: str
    total: int
    done: int
    counts: dict[str, int] = field(default_factory=dict)
    rate: float | None = None
    left: float | None = None
    message: str | None = None


OnProgress = Callable[[Progress], object]


def drive(job_id: str, settings: Settings, on_progress: OnProgress | None = None) -> JobRecord:
    """Complete a job in this process: the whole road.

    Raises JobConflict where another process drives it, and whatever makes it impossible; the job is then
    ``failed``, and what is committed is kept. KeyboardInterrupt and SystemExit leave it interrupted.
    """
    store = Store(settings.root)
    with closing(Index.open(settings.database)) as index, Lease(jobs := Jobs(index), job_id) as lease:
        try:
            store.create()
            job = jobs.get(job_id)
            revision = index.revision(job.study, job.revision)
            for left in reversed(range(_STARTS)):
                try:
                    _complete(revision, settings, index, store, lease, on_progress)
                    break
                except ClusterLost:
                    if not left or settings.ray != "local":
                        raise
            lease.finish("done")
        except Cancelled:
            lease.finish("cancelled", "by request")
        except Exception as problem:
            lease.finish("failed", first_line(problem))
            raise
        return jobs.get(job_id)


def _complete(
    revision: RevisionInfo,
    settings: Settings,
    index: Index,
    store: Store,
    lease: Lease,
    on_progress: OnProgress | None,
) -> None:
    """Take in what is there already, and compute the rest."""
    index.adopt(store)
    counts = index.counts(revision.id, revision.probes)
    with ExitStack() as stack:
        ahead = None
        if settings.ray != "inline" and revision.size - _there(counts) >= _MANY:
            ahead = stack.enter_context(Ahead(make_executor(settings)))
        work = missing(index, revision, settings, counts)
        tally = Tally(work, counts, lease, on_progress)
        tally.report()
        if work.shards and ahead:
            _travel(work, ahead.ready(), index, store, tally)
        elif work.shards:
            small = settings.ray == "local" and work.seconds < INLINE_SECONDS and not lease.died_before
            executor = stack.enter_context(make_executor(settings, inline=small))
            _travel(work, executor, index, store, tally)


def _there(counts: Mapping[str, int]) -> int:
    """Points that need not be computed, of those that are counted by status."""
    return sum(n for status, n in counts.items() if status != "error")


def missing(index: Index, revision: RevisionInfo, settings: Settings, counts: Mapping[str, int]) -> Plan:
    """What a revision lacks, as shards. ``counts``: its points by status (``Index.counts``); where they say that it
    lacks nothing its grid is not even expanded."""
    if _there(counts) == revision.size:
        return Plan((), revision.size, revision.size, settings.slots)
    lacks = index.lacking(revision.id, revision.probes)
    study = Study.from_toml(revision.toml)
    return plan(study.parts(), lacks, settings.slots, int(settings.memory))


class Tally:
    """Counts what has come in and tells the job's row and the caller; stops the driver when it should stop."""

    def __init__(
        self, work: Plan, counts: dict[str, int], lease: Lease, on_progress: OnProgress | None
    ) -> None:
        self._work = work
        self._counts = Counter(counts)
        del self._counts["error"]  # these are tried again
        self._lease = lease
        self._on_progress = on_progress
        self._began, self._slots = 0.0, 1
        self._delivered = 0
        self._estimated, self._taken = 0.0, 0.0

    def begin(self, slots: int) -> None:
        """The first shard is sent, to one of so many workers: from here on runs the time of the rate."""
        self._began, self._slots = time.monotonic(), slots

    def add(self, delivered: Sequence[tuple[Receipt, float]]) -> None:
        """Receipts that are committed, with the estimated seconds of their shards."""
        for receipt, estimated in delivered:
            self._count({**receipt.counts, "error": len(receipt.errors)})
            self._estimated += estimated
            self._taken += receipt.seconds
        self.report()

    def failed(self, points: int) -> None:
        """So many points took their workers with them."""
        self._count({"error": points})
        self.report()

    def _count(self, statuses: Mapping[str, int]) -> None:
        self._counts.update({status: number for status, number in statuses.items() if number})
        self._delivered += sum(statuses.values())

    def report(self) -> None:
        """Tell the job's row and the caller how far the job is."""
        done, elapsed = self._counts.total(), time.monotonic() - self._began
        counts = dict(self._counts)
        self._lease.progress(done, counts, self._work.points)
        if self._on_progress:
            rate = self._delivered / elapsed if self._delivered else None
            self._on_progress(Progress("running", self._work.points, done, counts, rate, self._left(elapsed)))

    def _left(self, elapsed: float) -> float | None:
        """Seconds left: at first by how right the estimates were, in the end by how long it has taken so far."""
        if not self._estimated:
            return None
        share = self._estimated / self._work.seconds
        by_workers = (self._work.seconds / self._estimated - 1) * self._taken / self._slots
        return (1 - share) * (elapsed + by_workers)

    def check(self) -> None:
        """Raises LeaseLost or Cancelled where the driver should stop."""
        self._lease.check()


def _travel(work: Plan, executor: Executor, index: Index, store: Store, tally: Tally) -> None:
    """Keep the executor busy until every missing point has ended, committing what comes back."""
    schedule = Scheduler(work.shards, executor.window)
    tally.begin(executor.slots)
    while not schedule.finished:
        tally.check()
        for shard in schedule.next(time.monotonic()):
            executor.submit(shard)
        outcomes = executor.wait(_WAIT_SECONDS)
        tally.check()
        _take(outcomes, schedule, index, store, tally)
        for shard_id in schedule.overdue(time.monotonic()):
            executor.cancel(shard_id)
            silent = Outcome(shard_id, error="it gave no sign for minutes", lost=True)
            _lose(silent, schedule, index, tally)


def _take(outcomes: Sequence[Outcome], schedule: Scheduler, index: Index, store: Store, tally: Tally) -> None:
    """What came back together: commit the receipts, then see to what was lost."""
    lost, taken = list[Outcome](), list[tuple[Delivery, Shard]]()
    for outcome in outcomes:
        receipt = outcome.receipt
        if receipt is None:
            lost.append(outcome)
            continue
        try:
            rows = store.scalars(receipt.file) if receipt.file else None
        except BadFile as problem:  # gone or broken on the way here: as if it had not been written
            lost.append(Outcome(outcome.shard_id, error=str(problem), lost=True))
            continue
        if shard := schedule.done(outcome.shard_id, time.monotonic()):
            taken.append(((receipt, rows, shard.points), shard))
        if len(taken) == TOGETHER or sum(delivery[0].rows for delivery, _ in taken) > _ROWS:
            _commit(taken, index, tally)
            taken = []
    if taken:
        _commit(taken, index, tally)
    for outcome in lost:
        _lose(outcome, schedule, index, tally)


def _commit(taken: Sequence[tuple[Delivery, Shard]], index: Index, tally: Tally) -> None:
    """One transaction, and one word to the job's row and the caller."""
    tally.check()
    index.commit(*(delivery for delivery, _ in taken))
    tally.add([(delivery[0], shard.seconds) for delivery, shard in taken])


def _lose(outcome: Outcome, schedule: Scheduler, index: Index, tally: Tally) -> None:
    """A shard without a receipt: queue it again, or record its last point as failed."""
    reason = outcome.error or "its worker died"
    if not outcome.lost:
        raise DriveFailed(reason)
    failed = schedule.lost(outcome.shard_id, reason)
    if schedule.losses > _HOPELESS * len(schedule.in_flight) + _HOPELESS:
        raise DriveFailed(
            f"{schedule.losses} workers in a row were lost, so it is not the points' fault: {reason}"
        )
    if failed:
        index.fail(failed)
        tally.failed(len(failed))


class DriveFailed(LonglagError, RuntimeError):
    """No shard can be computed: the store or the set-up of the workers is at fault, and the text says how."""


def drive_detached(job_id: str, settings: Settings) -> int:
    """Drive in a process of its own, whose output is the job's log; returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job = drive(job_id, settings, _log)
    except LonglagError as problem:
        print(f"{time.strftime('%F %T')} stopped: {problem}", flush=True)
        return 1
    except SystemExit:
        print(f"{time.strftime('%F %T')} stopped by a signal: 'longlag resume' goes on", flush=True)
        raise
    print(f"{time.strftime('%F %T')} {job.state}: {_listed(job.counts)}", flush=True)
    return 3 if job.counts.get("error") else 0


def _log(progress: Progress) -> None:
    left = "" if progress.left is None else f", about {progress.left:.0f} s left"
    print(f"{time.strftime('%F %T')} {progress.done:,} of {progress.total:,} points{left}", flush=True)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {status}" for status, n in counts.items())
