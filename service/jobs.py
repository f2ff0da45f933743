"""Jobs: requests to complete a study, and who is at work on them. One verb a transition.

                 claim             finish
    queued ─────────────▶ running ─────────▶ done, failed, cancelled
       └── cancel: nobody works on it ──────▶ cancelled ── reopen ──▶ queued

Every transition is one conditional UPDATE, and the number of rows that it changed is the verdict: of two drivers
that claim a job one gets True. A driver holds a job by a lease, which it renews; a job whose lease is over shows
as ``interrupted`` (no such state is stored), and whoever claims it goes on with it. A queued job has a lease too:
the time that its driver has to start. Times are the database's own, so that no two clocks are compared.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from .database import Database, moment
from .errors import JobConflict, NotFound, hint
from .models import ACTIVE, jobs, revisions

STATES = ("queued", "running", "interrupted", "done", "failed", "cancelled")
LEASE_SECONDS = 20.0
START_SECONDS = 120.0
"""So long the driver of a new job has to start before the job counts as interrupted."""

_LIST = "'longlag jobs' lists them"


@dataclass(frozen=True)
class JobRecord:
    """One job as it was when it was read. ``state`` is one of ``STATES``; ``counts`` are points by status."""

    id: str
    study: str
    revision: int
    revision_id: int
    state: str
    owner: str | None
    lease_until: datetime
    cancel_requested: bool
    total: int
    done: int
    counts: dict[str, int]
    message: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    log: str | None

    @property
    def active(self) -> bool:
        """Somebody is at work on it, or about to be."""
        return self.state in ACTIVE

    @property
    def over(self) -> bool:
        """It has ended, one way or another; an interrupted job has not."""
        return self.state in ("done", "failed", "cancelled")


class Jobs:
    """The jobs of an index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, study: str, revision_id: int, total: int) -> tuple[JobRecord, bool]:
        """A new job for a revision; or the one that there is, and False: attach to it, or claim it if interrupted.

        Raises JobConflict while a job of another revision of the study runs. An interrupted job of another
        revision is over with this.
        """

        def work(connection: Connection) -> tuple[JobRecord, bool]:
            refuse_other_revision(connection, study, revision_id)
            connection.execute(
                update(jobs)
                .where(jobs.c.study == study, jobs.c.revision_id != revision_id, jobs.c.state.in_(ACTIVE))
                .values(
                    state="cancelled",
                    finished=moment(connection),
                    message="interrupted; a newer revision came",
                )
            )
            if there := _select(connection, jobs.c.study == study, jobs.c.state.in_(ACTIVE)):
                return there[0], False
            job_id = secrets.token_hex(4)
            connection.execute(
                insert(jobs).values(
                    id=job_id,
                    study=study,
                    revision_id=revision_id,
                    state="queued",
                    lease_until=moment(connection, START_SECONDS),
                    cancel_requested=False,
                    total=total,
                    done=0,
                    counts="{}",
                    created=moment(connection),
                    log=f"logs/{job_id}.log",
                )
            )
            return _select(connection, jobs.c.id == job_id)[0], True

        while True:
            try:
                return self._database.write(work)
            except IntegrityError:  # another process has just made one: look again
                continue

    def claim(self, job_id: str, owner: str, lease: float = LEASE_SECONDS) -> bool:
        """Become the driver of a job that has none, or whose driver's lease is over."""

        def work(connection: Connection) -> bool:
            now = moment(connection)
            free = or_(jobs.c.owner.is_(None), jobs.c.owner == owner, jobs.c.lease_until < now)
            return _changed(
                connection,
                [jobs.c.id == job_id, jobs.c.state.in_(ACTIVE), free],
                state="running",
                owner=owner,
                lease_until=moment(connection, lease),
                started=func.coalesce(jobs.c.started, now),
                message=None,
            )

        return self._database.write(work)

    def renew(self, job_id: str, owner: str, lease: float = LEASE_SECONDS) -> bool:
        """Keep the job for another while. False: it is somebody else's by now, so stop."""
        return self._database.write(
            lambda connection: _changed(
                connection, _held(job_id, owner), lease_until=moment(connection, lease)
            )
        )

    def progress(
        self, job_id: str, owner: str, done: int, counts: Mapping[str, int], total: int | None = None
    ) -> bool:
        """Tell how many points are there, and by status. False: it is somebody else's job by now, so stop."""
        values: dict[str, Any] = {"done": done, "counts": json.dumps(dict(counts), sort_keys=True)}
        if total is not None:
            values["total"] = total
        return self._database.write(lambda connection: _changed(connection, _held(job_id, owner), **values))

    def finish(self, job_id: str, owner: str, state: str, message: str | None = None) -> bool:
        """End the job as ``done``, ``failed`` or ``cancelled``. False: it is somebody else's by now."""
        if state not in ("done", "failed", "cancelled"):
            raise ValueError(f"state = {state!r}: a job ends as done, failed or cancelled")
        return self._database.write(
            lambda connection: _changed(
                connection, _held(job_id, owner), state=state, message=message, finished=moment(connection)
            )
        )

    def release(self, job_id: str, owner: str) -> bool:
        """Let go of a job that is not finished: it shows as interrupted at once, and anyone may claim it."""
        return self._database.write(
            lambda connection: _changed(
                connection, _held(job_id, owner), owner=None, lease_until=moment(connection, -1.0)
            )
        )

    def cancel(self, job_id: str) -> JobRecord:
        """Ask the driver to stop; a job without a living driver is cancelled at once. A job that is over stays."""

        def work(connection: Connection) -> JobRecord:
            idle = or_(jobs.c.owner.is_(None), jobs.c.lease_until < moment(connection))
            here = [jobs.c.id == job_id, jobs.c.state.in_(ACTIVE)]
            ended = _changed(
                connection,
                [*here, idle],
                state="cancelled",
                cancel_requested=True,
                finished=moment(connection),
            )
            if not ended:
                _changed(connection, here, cancel_requested=True)
            return _one(connection, job_id)

        return self._database.write(work)

    def reopen(self, job_id: str) -> bool:
        """Queue a failed or cancelled job again. Raises JobConflict where the study has another active job."""

        def work(connection: Connection) -> bool:
            job = _one(connection, job_id)
            if others := _select(connection, jobs.c.study == job.study, jobs.c.state.in_(ACTIVE)):
                if others[0].id == job_id:
                    return False
                raise JobConflict(_in_the_way(others[0]))
            return _changed(
                connection,
                [jobs.c.id == job_id, jobs.c.state.in_(("failed", "cancelled"))],
                state="queued",
                owner=None,
                lease_until=moment(connection, START_SECONDS),
                cancel_requested=False,
                finished=None,
                message=None,
            )

        try:
            return self._database.write(work)
        except IntegrityError:
            raise JobConflict(
                f"job {job_id}: another job of its study has just started; see 'longlag jobs'"
            ) from None

    def get(self, job_id: str) -> JobRecord:
        """One job. Raises NotFound, with the nearest id."""
        return self._database.read(lambda connection: _one(connection, job_id))

    def list(self, study: str | None = None) -> list[JobRecord]:
        """All jobs, or a study's; the newest first."""
        conditions = [] if study is None else [jobs.c.study == study]
        return self._database.read(lambda connection: _select(connection, *conditions))

    def active(self, study: str) -> JobRecord | None:
        """The job of a study that is queued, running or interrupted: to attach to, or to take over."""
        found = self._database.read(
            lambda connection: _select(connection, jobs.c.study == study, jobs.c.state.in_(ACTIVE))
        )
        return found[0] if found else None

    def interrupted(self) -> list[JobRecord]:
        """Jobs whose driver has not renewed its lease: crashed, cut off, or never started."""
        return [job for job in self.list() if job.state == "interrupted"]


def refuse_other_revision(connection: Connection, study: str, revision_id: int | None) -> None:
    """Raise JobConflict while a job of a revision other than this one has a living driver."""
    for job in _select(connection, jobs.c.study == study, jobs.c.state.in_(ACTIVE)):
        if job.active and job.revision_id != revision_id:
            raise JobConflict(_in_the_way(job))


def refuse_any(connection: Connection) -> None:
    """Raise JobConflict while any job has a living driver."""
    for job in _select(connection, jobs.c.state.in_(ACTIVE)):
        if job.active:
            raise JobConflict(_in_the_way(job))


def _in_the_way(job: JobRecord) -> str:
    share = f", {job.done:,} of {job.total:,} points done" if job.total else ""
    by = f" by {job.owner}" if job.owner else ""
    return (
        f"job {job.id} of study {job.study!r}, revision {job.revision}, is {job.state}{by}{share}: wait for it, "
        f"or stop it with 'longlag cancel {job.id}'"
    )


def _held(job_id: str, owner: str) -> list[ColumnElement[bool]]:
    return [jobs.c.id == job_id, jobs.c.state == "running", jobs.c.owner == owner]


def _changed(connection: Connection, conditions: list[ColumnElement[bool]], **values: Any) -> bool:
    """One conditional UPDATE; whether it found the job as the conditions have it."""
    return connection.execute(update(jobs).where(*conditions).values(**values)).rowcount == 1


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[JobRecord]:
    late = jobs.c.state.in_(ACTIVE) & (jobs.c.lease_until < moment(connection))
    state = case((late, literal("interrupted")), else_=jobs.c.state).label("state")
    columns = [c for c in jobs.columns if c.name != "state"]
    query = (
        select(*columns, state, revisions.c.revision)
        .join_from(jobs, revisions, revisions.c.id == jobs.c.revision_id)
        .where(*conditions)
        .order_by(jobs.c.created.desc(), jobs.c.id)
    )
    rows = connection.execute(query).mappings()
    return [JobRecord(**{**row, "counts": json.loads(row["counts"])}) for row in rows]


def _one(connection: Connection, job_id: str) -> JobRecord:
    found = _select(connection, jobs.c.id == job_id)
    if found:
        return found[0]
    ids = connection.execute(select(jobs.c.id)).scalars().all()
    raise NotFound(f"there is no job {job_id!r}: {hint(job_id, ids, _LIST)}")
