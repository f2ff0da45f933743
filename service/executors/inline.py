"""The inline executor: shards are computed in this process, one at a time, without Ray."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from threadpoolctl import threadpool_limits

from ...workers.task import Shard, run_shard
from .base import Compute, Outcome, raised


class InlineExecutor:
    """Computes in ``wait``, matrix products held to one thread so that bits are the same everywhere."""

    slots = window = 1

    def __init__(self, store: str, compute: Compute = run_shard) -> None:
        self.store = store
        self.compute = compute
        self._queue: deque[Shard] = deque()
        self._limits: threadpool_limits | None = None

    def start(self) -> None:
        """Nothing to start but the limit on threads."""
        self._limits = threadpool_limits(1)

    def submit(self, shard: Shard) -> None:
        """Queue a shard."""
        self._queue.append(shard)

    def wait(self, timeout: float) -> list[Outcome]:
        """Compute one shard, however long it takes."""
        return [self._run(self._queue.popleft())] if self._queue else []

    def _run(self, shard: Shard) -> Outcome:
        try:
            return Outcome(shard.shard_id, self.compute(shard, self.store))
        except Exception as problem:
            return raised(shard.shard_id, problem, self.store)

    def cancel(self, shard_id: str) -> None:
        """Take a shard out of the queue."""
        self._queue = deque(shard for shard in self._queue if shard.shard_id != shard_id)

    def stop(self) -> None:
        """Forget the queue and give the threads back."""
        self._queue.clear()
        if self._limits:
            self._limits.restore_original_limits()
            self._limits = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
