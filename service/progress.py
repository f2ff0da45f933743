"""A job's progress on the screen: a bar with rate and time left, or plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from .driver import Progress

_LINE_SECONDS = 5.0


class ProgressBar:
    """Call it with every ``Progress``, within its context."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = sys.stderr if stream is None else stream
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._written = -_LINE_SECONDS
        self._last = ""

    def __enter__(self) -> Self:
        if self._stream.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
            )
            self._bars = Bars(*columns, console=Console(file=self._stream))
            self._bars.start()
        return self

    def __call__(self, progress: Progress) -> None:
        if self._bars is None:
            self._line(progress)
            return
        if self._task is None:
            self._task = self._bars.add_task(self._name, total=progress.total, pace="")
        self._bars.update(self._task, completed=progress.done, total=progress.total, pace=pace(progress))

    def _line(self, progress: Progress) -> None:
        text = f"{self._name}: {progress.done:,} of {progress.total:,} points"
        over = progress.state not in ("queued", "running")
        due = time.monotonic() - self._written >= _LINE_SECONDS or over
        if not due or text == self._last:
            return
        detail = progress.state if over else pace(progress)
        print(f"{text}{f', {detail}' if detail else ''}", file=self._stream, flush=True)
        self._written, self._last = time.monotonic(), text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()


def pace(progress: Progress) -> str:
    """``31 points/s, 12 s left``, as far as it is known."""
    parts = []
    if progress.rate is not None:
        parts.append(
            f"{progress.rate:,.0f} points/s" if progress.rate >= 10 else f"{progress.rate:.2g} points/s"
        )
    if progress.left is not None and progress.done < progress.total:
        parts.append(f"{duration(progress.left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
