"""What an executor is: where shards are computed. The driver knows no more of it than this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from ...workers.task import Receipt, Shard
from ..errors import ClusterUnavailable, LonglagError, first_line
from ..store import remedy

Compute = Callable[[Shard, str], Receipt]
"""What is done with a shard, given the store's path: ``workers.task.run_shard``."""


@dataclass(frozen=True)
class Outcome:
    """What became of one submitted shard: a receipt; or it is lost with its worker; or nothing can be computed.

    ``lost`` says that the worker died: another may do better. ``error`` without it is the store's or the set-up's
    fault (a full disk, a missing package): every shard would end so.
    """

    shard_id: str
    receipt: Receipt | None = None
    error: str | None = None
    lost: bool = False


class ClusterLost(ClusterUnavailable):
    """The cluster went away while it computed; what was in flight is lost, and no shard is at fault."""


class Executor(Protocol):
    """Takes shards, gives outcomes: one for every submitted shard that is not cancelled, in any order."""

    slots: int
    """How many shards are computed at once."""
    window: int
    """How many shards should be submitted and not back, to keep every worker busy."""

    def start(self) -> None:
        """Make ready. Raises ClusterUnavailable or StoreUnavailable, in one line, within seconds."""
        ...

    def submit(self, shard: Shard) -> None:
        """Compute this shard; returns at once."""
        ...

    def wait(self, timeout: float) -> list[Outcome]:
        """What has come back, at least one outcome unless ``timeout`` seconds have passed. Raises ClusterLost."""
        ...

    def cancel(self, shard_id: str) -> None:
        """Give a submitted shard up; it has no outcome any more."""
        ...

    def stop(self) -> None:
        """End everything that start began, also half-way; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def raised(shard_id: str, problem: BaseException | None, store: str) -> Outcome:
    """The outcome of an exception that came out of a shard: too little memory, or a signal, loses the worker."""
    if isinstance(problem, MemoryError | KeyboardInterrupt | SystemExit):
        return Outcome(shard_id, error=f"its worker was stopped: {type(problem).__name__}", lost=True)
    if isinstance(problem, LonglagError):
        return Outcome(shard_id, error=str(problem))
    if isinstance(problem, OSError):
        return Outcome(shard_id, error=f"cannot write to the store {store}: {remedy(problem)}")
    what = "no reason given" if problem is None else first_line(problem)
    return Outcome(shard_id, error=f"{type(problem).__name__}: {what}")
