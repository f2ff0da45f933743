"""The client: studies in, tables out. Everything a user does goes through it; it holds no state but its settings.

Embedded: it works on the store and the index itself. A reading call never makes anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..workers.points import PARAMETERS
from . import curves, scorecard, whole
from .driver import OnProgress, drive, missing
from .errors import InvalidStudy, JobConflict, NotFound
from .executors.address import connect
from .index import Index, RevisionInfo, StudyInfo
from .job import Job, spawn
from .jobs import JobRecord, Jobs
from .lease import is_dead, release_dead
from .plan import Plan, plan
from .progress import ProgressBar
from .settings import Settings
from .store import Store
from .study import Study
from .upkeep import Finding

if TYPE_CHECKING:
    from ..workers.checks import Check


@dataclass(frozen=True)
class StudyState:
    """A study's newest revision, how many of its points have which status, and its jobs, the newest first."""

    study: Study
    revision: RevisionInfo
    counts: dict[str, int]
    jobs: list[JobRecord]

    @property
    def missing(self) -> int:
        """Points that are not finished; those in ``error`` among them."""
        return self.revision.size - sum(n for status, n in self.counts.items() if status != "error")


class Client:
    """Works on the store in the folder ``data`` with the index at ``db``, computing as ``ray`` says.

    ``data`` defaults to ./longlag-data, ``db`` to SQLite in it, ``ray`` to local (inline: in this process; auto or
    host:port: a cluster), ``workers`` to every core, ``memory`` to 1GiB a worker; ``LONGLAG_*`` variables come
    between. Nothing is made or opened before it is needed. Raises InvalidSettings.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        db: str | None = None,
        ray: str | None = None,
        workers: int | None = None,
        memory: str | int | None = None,
    ) -> None:
        self.settings = Settings.read(data=data, db=db, ray=ray, workers=workers, memory=memory)
        self.store = Store(self.settings.root)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(data={self.settings.data!r}, ray={self.settings.ray!r})"

    # ---- computing

    def submit(self, study: Study) -> Job:
        """Complete a study in a process of its own; returns at once. Only points that are not there are computed.

        Where a job of the study is at work already, that job is returned. Raises JobConflict while a job of
        another revision of it runs.
        """
        record, change, idle = self._request(study)
        return Job(self.settings, record, change, spawn(self.settings, record) if idle else None)

    def run(self, study: Study, on_progress: OnProgress | None = None) -> Job:
        """Complete a study in this process, or wait for the one that is at work on it; returns the job when over.

        Shows a progress bar unless ``on_progress`` is given. Ctrl-C stops it, ``resume`` goes on. Raises
        JobConflict while a job of another revision runs, and whatever made the job fail.
        """
        _check_study(study)
        if on_progress is None:
            with ProgressBar(study.name) as bar:
                return self.run(study, bar)
        while True:
            record, change, idle = self._request(study)
            job = Job(self.settings, record, change)
            if not idle:
                if job.wait(on_progress=on_progress) != "interrupted":
                    return job
                continue
            try:
                drive(job.id, self.settings, on_progress)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"job {job.id} is interrupted: 'longlag resume {study.name}' goes on"
                ) from None
            except JobConflict:
                if job.state not in ("queued", "running"):
                    raise
                continue  # another process was faster
            return job

    def resume(self, name: str, on_progress: OnProgress | None = None) -> Job:
        """Go on with a study by its name, or with the study of a job by its id: its newest revision, as ``run``."""
        return self.run(self.show(self._study_of(name)).study, on_progress)

    def cancel(self, name: str) -> Job:
        """Stop the job of a study, or a job by its id; what is committed is kept."""
        with self._index() as index:
            jobs = Jobs(index)
            record = jobs.active(name) or _find(jobs.list(), name)
        if record is None:
            raise NotFound(f"study {name!r} has no job that is queued or at work: 'longlag jobs' lists them")
        job = Job(self.settings, record)
        job.cancel()
        return job

    def _request(self, study: Study) -> tuple[JobRecord, RevisionInfo, bool]:
        """The job that completes a study; what the submission changed; whether nobody is at work on the job."""
        _check_study(study)
        if self.settings.ray not in ("local", "inline", "auto"):
            connect(self.settings.ray)  # before anything is made for a job that could not begin
        self.store.create()
        with closing(Index.open(self.settings.database)) as index:
            index.adopt(self.store)  # a store whose index is new goes on where its revisions ended
            change = index.add_revision(study)
            self.store.write_revision(study.name, change.revision, change.toml)
            jobs = Jobs(index)
            record, new = jobs.create(study.name, change.id, change.size)
            if record.cancel_requested and (record.state == "interrupted" or release_dead(jobs, record)):
                jobs.cancel(record.id)  # its driver died before it saw the request
                record, new = jobs.create(study.name, change.id, change.size)
            return record, change, new or record.state == "interrupted" or is_dead(record)

    def plan(self, study: Study) -> Plan:
        """What completing a study would compute, and why; nothing is run, made or changed."""
        _check_study(study)
        settings = self.settings
        try:
            with self._index() as index:
                known = {info.name: info for info in index.studies()}
                newest = index.revision(study.name) if study.name in known else None
                if newest is not None and newest.digest == study.digest:
                    counts = index.counts(newest.id, newest.probes)
                    work = missing(index, newest, settings, counts)
                else:
                    work = self._plan_new(index, study)
                errors = index.runs(study.name, where={"status": "error"})["point_id"] if newest else []
        except NotFound:
            return plan(study.parts(), study.probes, settings.slots, int(settings.memory))
        before = frozenset(errors)
        failed = (
            sum(point_id in before for shard in work.shards for point_id in shard.points.ids())
            if before
            else 0
        )
        return replace(work, failed=failed)

    def _plan_new(self, index: Index, study: Study) -> Plan:
        lacks = index.lacking(list(study.ids()), study.probes)
        return plan(study.parts(), lacks, self.settings.slots, int(self.settings.memory))

    # ---- looking

    def studies(self) -> list[StudyInfo]:
        """Every study with its newest revision, size, and how many points are finished or in error."""
        with self._index() as index:
            return index.studies()

    def show(self, name: str, revision: int | None = None) -> StudyState:
        """A study's revision, by default the newest: its grid, statuses and jobs. Raises NotFound."""
        with self._index() as index:
            info = index.revision(name, revision)
            counts = index.counts(info.id, info.probes)
            return StudyState(Study.from_toml(info.toml), info, counts, Jobs(index).list(name))

    def jobs(self, study: str | None = None) -> list[JobRecord]:
        """All jobs, or a study's, the newest first, as they are now."""
        with self._index() as index:
            return Jobs(index).list(study)

    def job(self, job_id: str) -> Job:
        """A handle on a job by its id. Raises NotFound, with the nearest id."""
        with self._index() as index:
            return Job(self.settings, Jobs(index).get(job_id))

    def runs(
        self, name: str, revision: int | None = None, where: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row a finished or failed point: point_id, parameters, status, measures, seconds.

        ``where`` chooses by column: a value, several, or None: ``{"cell": "lstm", "gamma": [0.9, 0.99]}``.
        """
        with self._index() as index:
            if not where and (chosen := index.revision(name, revision)).size >= whole.LARGE:
                found = whole.runs(index, self.store, chosen.id, index.columns)
                if found is not None:
                    return found
            return index.runs(name, revision, where)

    def curves(
        self,
        name: str,
        revision: int | None = None,
        where: Mapping[str, Any] | None = None,
        kind: str | Iterable[str] | None = None,
        parameters: bool = True,
    ) -> pd.DataFrame:
        """Curves by lag in long form: point_id, kind, lag, ln_norm, q05, q50, q95, parameters.

        ``parameters=False`` leaves the parameters out: of millions of rows that is most of the time and memory.

        ``kind``: some of delta, adjoint, bound, gate_product (default: all), natural logarithms relative to lag 0.
        Or one alone, with columns of its own between point_id and parameters: saturation, saturated, gates,
        gate_time, preserved_norm, memory_function, lyapunov, jacobian, singular_values, pairs, pair_map, window,
        truncation (reference.md has a table). Raises QueryRefused for another kind.
        """
        kinds = curves.kinds_of(kind)
        with self._index() as index:
            files = index.record_files(name, revision, where, curves.KINDS[kinds[0]].probe)
        return curves.read(self.store, files, kinds, tuple(PARAMETERS) if parameters else ())

    def keep_scorecard(self, found: Sequence[Check]) -> None:
        """Keep what ``verify`` found in the store, for its reports; where there is no store, nothing is made."""
        scorecard.keep(self.store, found)

    def scorecard(self) -> dict[str, Any] | None:
        """What ``verify`` found last on this store: kernel (its version), written (ISO), checks (a dict each)."""
        return scorecard.read(self.store)

    def sql(self, text: str, timeout: float = 30.0, max_rows: int = 100_000) -> pd.DataFrame:
        """The rows of one SELECT, which can only read: views ``runs`` and ``study_runs`` have the results.

        Raises QueryRefused for anything else, beyond ``timeout`` seconds, or beyond ``max_rows`` rows.
        """
        with self._index() as index:
            return index.sql(text, timeout, max_rows)

    # ---- looking after

    def check(self) -> list[Finding]:
        """Compare the index with the files, reading every byte; an empty list is a clean bill. Changes nothing."""
        with self._index() as index:
            return index.check(self.store)

    def reindex(self) -> int:
        """Make the index anew from the files alone; returns how many record files there are."""
        if not self.store.exists():
            raise NotFound(
                f"there is no store at {self.settings.data}: say where it is (--data, LONGLAG_DATA)"
            )
        with closing(Index.open(self.settings.database)) as index:
            return index.reindex(self.store)

    def rm(self, name: str) -> list[str]:
        """Remove a study, its jobs, and what no other study uses; returns the record files that were deleted."""
        with self._index():  # so that nothing is made where there is nothing
            pass
        with closing(Index.open(self.settings.database)) as index:
            return index.remove_study(name, self.store)

    @contextmanager
    def _index(self) -> Iterator[Index]:
        """The index, to read. Raises NotFound where there is none."""
        with closing(Index.open(self.settings.database, write=False)) as index:
            yield index

    def _study_of(self, name: str) -> str:
        with self._index() as index:
            record = _find(Jobs(index).list(), name)
        return record.study if record else name


def _check_study(study: object) -> None:
    if not isinstance(study, Study):
        raise InvalidStudy(f"{study!r} is no study: give Study(...), or Study.from_file(PATH)")


def _find(jobs: list[JobRecord], job_id: str) -> JobRecord | None:
    return next((record for record in jobs if record.id == job_id), None)
