"""An executor that starts while its caller does something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .base import Executor


class Ahead:
    """Starts an executor in a thread at once and stops it at the end, whatever happens between."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="start")

    def __enter__(self) -> Self:
        self._start = self._thread.submit(self._executor.start)
        return self

    def ready(self) -> Executor:
        """The executor once it has started. Raises what its start raised."""
        self._start.result()
        return self._executor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._start.exception()  # waits: half a cluster would be left
        self._executor.stop()
        self._thread.shutdown()  # last: Ray's processes end with the thread that began them
