"""Holding a job: claimed at first, renewed by a thread however long a shard takes, let go of in the end."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import DatabaseUnavailable, JobConflict
from .jobs import LEASE_SECONDS, JobRecord, Jobs

_RENEW_SECONDS = 2.0


class Cancelled(Exception):
    """Somebody has asked for the job to be stopped."""


class LeaseLost(JobConflict):
    """The job is another driver's by now; what was not committed is left to that one."""


class Lease:
    """A context in which this process is the job's driver. Raises JobConflict where it has another one.

    Left by ``finish`` the job is over; left by an exception it is interrupted: let go of at once, so that the
    next driver need not wait.
    """

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs = jobs
        self._id = job_id
        self._owner = f"{_here()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._over = threading.Event()
        self._lost = False
        self._cancelled = False
        self._thread = threading.Thread(target=self._keep, name=f"lease-{job_id}", daemon=True)

    def __enter__(self) -> Self:
        before = self._jobs.get(self._id)
        self.died_before = before.state == "interrupted" and before.owner is not None
        """Whether the last driver was killed at work, as against having let go of it."""
        if release_dead(self._jobs, before):
            self.died_before = True
        if not self._jobs.claim(self._id, self._owner):
            raise JobConflict(_not_free(self._jobs.get(self._id)))
        self._thread.start()
        return self

    def _keep(self) -> None:
        held = time.monotonic()
        while not self._over.wait(_RENEW_SECONDS):
            try:
                if not self._jobs.renew(self._id, self._owner):
                    self._lost = True
                    return
                held = time.monotonic()
                self._cancelled = self._jobs.get(self._id).cancel_requested
            except DatabaseUnavailable:  # it may come back; until the lease is over the job is ours
                if time.monotonic() - held > LEASE_SECONDS:
                    self._lost = True
                    return

    def check(self) -> None:
        """Raises LeaseLost or Cancelled where this process should stop at once."""
        if self._lost:
            raise LeaseLost(
                f"job {self._id} is not this process's any more: 'longlag jobs' shows whose it is"
            )
        if self._cancelled:
            raise Cancelled

    def progress(self, done: int, counts: Mapping[str, int], total: int) -> None:
        """Tell how far the job is."""
        if not self._jobs.progress(self._id, self._owner, done, counts, total):
            self._lost = True
            self.check()

    def finish(self, state: str, message: str | None = None) -> None:
        """The job is over."""
        self._stop()
        self._jobs.finish(self._id, self._owner, state, message)

    def _stop(self) -> None:
        self._over.set()
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        try:
            self._jobs.release(self._id, self._owner)  # a job that is over, or lost, is not held any more
        except DatabaseUnavailable:
            if kind is None:
                raise


def is_dead(job: JobRecord) -> bool:
    """Whether the job's driver was a process of this machine that is no more; its lease need not be waited for."""
    where, pid = (job.owner or "").rpartition(":")[0].rpartition(":")[::2]
    return job.state == "running" and where == _here() and pid.isdecimal() and not is_alive(int(pid))


def release_dead(jobs: Jobs, job: JobRecord) -> bool:
    """Let go of a job in the place of its dead driver; False where it is not dead, or another was faster."""
    return is_dead(job) and jobs.release(job.id, str(job.owner))


def _here() -> str:
    """This machine since it was started; containers have host names of their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        boot = "unknown"
    return f"{socket.gethostname()}:{boot}"


def is_alive(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # a zombie is dead, though nobody has asked for its end
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _not_free(job: JobRecord) -> str:
    if job.over:
        return f"job {job.id} of study {job.study!r} is {job.state}: 'longlag run' or 'resume' begins another"
    return f"job {job.id} of study {job.study!r} is {job.state} by {job.owner}: 'longlag cancel {job.id}' stops it"
