"""A job as its user holds it: where it stands, waiting for it, cancelling it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from .driver import OnProgress, Progress
from .errors import LonglagError
from .index import Index, RevisionInfo
from .jobs import JobRecord, Jobs
from .lease import release_dead
from .progress import ProgressBar
from .settings import Settings
from .store import Store

_POLL_SECONDS = 0.5


class DriverFailed(LonglagError, RuntimeError):
    """A detached driver ended before it had taken up its job; its log says why."""


class Job:
    """A handle on one job; every property asks the index anew.

    ``change`` says what a submission made of the study's revision before: points added, removed, reused.
    """

    def __init__(
        self,
        settings: Settings,
        record: JobRecord,
        change: RevisionInfo | None = None,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.id = record.id
        self.study = record.study
        self.revision = record.revision
        self.change = change
        self._settings = settings
        self._process = process
        self._rate = _Rate()

    def __repr__(self) -> str:
        return f"Job({self.id!r}, study={self.study!r}, revision={self.revision}, state={self.state!r})"

    @property
    def record(self) -> JobRecord:
        """The job's row in the index, as it is now."""
        return self._ask(lambda jobs: jobs.get(self.id))

    def _ask(self, work: Callable[[Jobs], Any], write: bool = False) -> Any:
        with closing(Index.open(self._settings.database, write=write)) as index:
            return work(Jobs(index))

    @property
    def state(self) -> str:
        """queued, running, interrupted, done, failed or cancelled."""
        return self.record.state

    @property
    def message(self) -> str | None:
        """Why it failed or was cancelled."""
        return self.record.message

    @property
    def log(self) -> str:
        """What its driver has said, when that was a detached one; empty otherwise."""
        path = Store(self._settings.root).path(self.record.log or f"logs/{self.id}.log")
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def progress(self) -> Progress:
        """How far it is: points done of the total, and by status; rate and time left from the second call on."""
        record = self.record
        rate = self._rate.of(record.done)
        left = (record.total - record.done) / rate if rate else None
        return Progress(record.state, record.total, record.done, record.counts, rate, left, record.message)

    def wait(self, timeout: float | None = None, on_progress: OnProgress | None = None) -> str:
        """Wait until the job is over or interrupted, at most ``timeout`` seconds; returns its state.

        Shows a progress bar, or plain lines where there is no terminal, unless ``on_progress`` is given. Ctrl-C
        detaches: the job goes on.
        """
        if on_progress is not None:
            return self._follow(timeout, on_progress)
        with ProgressBar(self.study) as bar:
            try:
                return self._follow(timeout, bar)
            except KeyboardInterrupt:
                print(f"detached; job {self.id} goes on: 'longlag jobs' shows it", file=sys.stderr)
        return self.state

    def _follow(self, timeout: float | None, on_progress: OnProgress) -> str:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            progress = self.progress()
            on_progress(progress)
            if progress.state not in ("queued", "running"):
                return progress.state
            if deadline is not None and time.monotonic() >= deadline:
                return progress.state
            if progress.state == "queued":
                self._see_that_it_starts()
            time.sleep(_POLL_SECONDS)

    def _see_that_it_starts(self) -> None:
        if self._process is None or self._process.returncode is None or self.state != "queued":
            return
        self.cancel()
        last = (self.log.strip().splitlines() or ["nothing"])[-1]
        raise DriverFailed(f"the driver of job {self.id} ended before it began: {last}")

    def cancel(self) -> str:
        """Ask the driver to stop, which takes it a few seconds; returns the state. What is committed is kept."""

        def work(jobs: Jobs) -> JobRecord:
            release_dead(jobs, jobs.get(self.id))
            return jobs.cancel(self.id)

        return self._ask(work, write=True).state


class _Rate:
    """Points a second, from what was done when it was first asked."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def of(self, done: int) -> float | None:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        began, before = self._first
        return (done - before) / (now - began) if done > before else None


def spawn(settings: Settings, record: JobRecord) -> subprocess.Popen[bytes]:
    """Start a driver as a process of its own, which outlives this one; what it says goes to the job's log."""
    store = Store(settings.root)
    with open(store.path(record.log or f"logs/{record.id}.log"), "ab") as log:
        # -P and the folder of logs: nothing that lies around there can be imported in longlag's stead
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "longlag", "drive", record.id],
            env=settings.environment(),
            cwd=store.logs,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # waited for by a thread, so that it does not stay behind as a zombie while this process lives
    threading.Thread(target=process.wait, name=f"driver-{record.id}", daemon=True).start()
    return process
