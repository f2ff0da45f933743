"""The index: what every study is and which of its points are there, in SQL.

The files are the truth for results; the index knows where they are and holds what can be asked with SQL. Rows go
in through ``commit``, ``fail`` and ``adopt``; they come out as pandas frames. What is done to jobs is in ``jobs``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    any_,
    func,
    literal,
    literal_column,
    select,
    text,
)

from ..workers.points import PARAMETERS, Point
from ..workers.task import Receipt
from . import commit, frames, migrate, reading, upkeep
from .database import Database
from .errors import NotFound, hint
from .jobs import refuse_other_revision
from .models import measures, points, revisions, shards, studies
from .store import Store
from .study import Study

Delivery = tuple[Receipt, pa.Table | None, Iterable[Point]]
"""A receipt, what ``Store.scalars`` reads from its file (None where it has none), and the shard's points."""
_LIST = "'longlag studies' lists them"


@dataclass(frozen=True)
class RevisionInfo:
    """One revision of a study; the last four say what a submission has made of the one before it.

    ``new``: the grid differs from the newest revision's. ``added`` points are not in that one, ``removed`` are
    no longer in the study, ``reused`` are in both.
    """

    id: int
    study: str
    revision: int
    digest: str
    toml: str
    size: int
    probes: tuple[str, ...]
    created: datetime
    new: bool = False
    added: int = 0
    removed: int = 0
    reused: int = 0


@dataclass(frozen=True)
class StudyInfo:
    """A study at a glance: its newest revision, and how many of its points are finished or failed."""

    name: str
    description: str
    revision: int
    size: int
    finished: int
    errors: int
    created: datetime


class Index(Database):
    """The index at a URL. ``Index.open(url)`` makes or updates it; ``write=False`` never changes anything."""

    columns: list[str]

    @classmethod
    def open(cls, url: str, write: bool = True) -> Index:
        """Open the index. Writing, it is made where there is none and brought up to date where it is older.

        Raises NotFound where there is nothing to read, and DatabaseUnavailable where the database cannot be
        reached, is damaged or locked, or has a newer schema.
        """
        index = cls(url, write)
        try:
            index.columns = migrate.prepare(index)
        except BaseException:
            index.close()
            raise
        return index

    # ---- studies and revisions

    def add_revision(self, study: Study) -> RevisionInfo:
        """Make the study's grid its newest revision; where it is already, nothing is expanded.

        Raises JobConflict while a job of another revision runs.
        """
        newest = self.read(lambda connection: self._revision(connection, study.name, None))
        if newest is not None and newest.digest == study.digest:
            toml = study.to_toml()
            if toml != newest.toml:  # the same grid in other words, or another description
                self.write(lambda connection: commit.reword_revision(connection, newest.id, study))
            return replace(newest, toml=toml, reused=newest.size)
        return self.write(lambda connection: self._add_revision(connection, study))

    def _add_revision(self, connection: Connection, study: Study) -> RevisionInfo:
        if connection.dialect.name == "postgresql":  # two processes may bring the same study
            connection.execute(text("lock table revisions in share row exclusive mode"))
        before = self._revision(connection, study.name, None)
        if before is not None and before.digest == study.digest:
            return replace(before, reused=before.size)
        refuse_other_revision(connection, study.name, None)
        commit.put_revision(connection, study, before.revision + 1 if before else 1)
        made = self._revision(connection, study.name, None)
        assert made is not None
        reused = 0
        if before is not None:
            other = points.alias()
            reused = connection.execute(
                select(func.count())
                .select_from(points.join(other, other.c.point_id == points.c.point_id))
                .where(points.c.revision_id == made.id, other.c.revision_id == before.id)
            ).scalar_one()
        changes = {"added": made.size - reused, "removed": before.size - reused if before else 0}
        return replace(made, new=True, reused=reused, **changes)

    def revision(self, name: str, revision: int | None = None) -> RevisionInfo:
        """A study's revision, by default the newest. Raises NotFound with the nearest name."""

        def work(connection: Connection) -> RevisionInfo:
            found = self._revision(connection, name, revision)
            if found is not None:
                return found
            newest = self._revision(connection, name, None)
            if newest is not None:
                raise NotFound(f"study {name!r} has no revision {revision}: it has 1 to {newest.revision}")
            names = connection.execute(select(studies.c.name)).scalars().all()
            raise NotFound(f"there is no study {name!r}: {hint(name, names, _LIST)}")

        return self.read(work)

    def _revision(self, connection: Connection, name: str, revision: int | None) -> RevisionInfo | None:
        query = (
            select(revisions).where(revisions.c.study == name).order_by(revisions.c.revision.desc()).limit(1)
        )
        if revision is not None:
            query = query.where(revisions.c.revision == revision)
        row = connection.execute(query).mappings().first()
        return RevisionInfo(**{**row, "probes": tuple(row["probes"].split(","))}) if row else None

    def studies(self) -> list[StudyInfo]:
        """Every study with its newest revision, in the order of names."""

        def work(connection: Connection) -> list[StudyInfo]:
            newest = select(revisions.c.study, func.max(revisions.c.revision).label("n")).group_by(
                revisions.c.study
            )
            last = newest.subquery()
            query = (
                select(studies.c.description, revisions)
                .join(revisions, revisions.c.study == studies.c.name)
                .join(last, and_(last.c.study == studies.c.name, last.c.n == revisions.c.revision))
                .order_by(studies.c.name)
            )
            found = []
            for row in connection.execute(query).mappings().all():
                counts = self._counts(connection, row["id"], row["probes"].split(","))
                found.append(
                    StudyInfo(
                        name=row["study"],
                        description=row["description"],
                        revision=row["revision"],
                        size=row["size"],
                        finished=sum(n for status, n in counts.items() if status != "error"),
                        errors=counts.get("error", 0),
                        created=row["created"],
                    )
                )
            return found

        return self.read(work)

    # ---- which points are there

    def present(self, which: int | Collection[str], probes: Iterable[str]) -> set[str]:
        """The points that are finished with all these probes: of a revision by its id, or of these point_ids."""
        has_all = _has(probes)
        if isinstance(which, int):
            query = _members(which).with_only_columns(measures.c.point_id).where(has_all)
        else:
            query = select(measures.c.point_id).where(self._listed(which), has_all)
        return set(self.read(lambda connection: connection.execute(query).scalars().all()))

    def lacking(
        self, which: int | Collection[str], probes: Sequence[str]
    ) -> Callable[[str], tuple[str, ...]] | tuple[str, ...]:
        """What the points of a revision by its id, or these point_ids, lack: a function that gives the probes which
        a point lacks, none where it is finished; or all the probes, where nothing is there."""
        having = {probe: self.present(which, [probe]) for probe in probes}
        if not any(having.values()):
            return tuple(probes)
        complete = set.intersection(*having.values())
        for partly in having.values():  # most points have all or nothing: these are kept once
            partly -= complete

        def lacks(point_id: str) -> tuple[str, ...]:
            if point_id in complete:
                return ()
            return tuple(probe for probe in probes if point_id not in having[probe])

        return lacks

    def _listed(self, ids: Collection[str]) -> ColumnElement[bool]:
        """These points, however many, as one parameter."""
        if self.dialect == "postgresql":
            return measures.c.point_id == any_(literal(list(ids), ARRAY(Text)))
        values = select(literal_column("value")).select_from(func.json_each(json.dumps(list(ids))))
        return measures.c.point_id.in_(values)

    def counts(self, revision_id: int, probes: Iterable[str]) -> dict[str, int]:
        """How many points of a revision have each status; those that lack a probe are not counted."""
        return self.read(lambda connection: self._counts(connection, revision_id, probes))

    def _counts(self, connection: Connection, revision_id: int, probes: Iterable[str]) -> dict[str, int]:
        status = measures.c.status
        query = _members(revision_id).with_only_columns(status, func.count()).group_by(status)
        query = query.where((status == "error") | _has(probes))
        return {row[0]: row[1] for row in connection.execute(query)}

    # ---- results in

    def commit(self, *deliveries: Delivery) -> int:
        """Take in what came back together, in one transaction: all of it or none, again and again with one result.

        The points are for the parameters of those that failed. Returns how many runs are new, or have new probes.
        """

        def work(connection: Connection) -> int:
            changed = 0
            for receipt, table, every in deliveries:
                by_id = {point.point_id: point for point in every} if receipt.errors else {}
                changed += commit.commit(connection, receipt, table, by_id)
            return changed

        return self.write(work)

    def fail(self, errors: Mapping[Point, str]) -> None:
        """Record points that failed, with what each of them said; they are tried again by the next run."""
        if errors:
            by_id = {point.point_id: point for point in errors}
            messages = {point.point_id: message for point, message in errors.items()}
            self.write(lambda connection: commit.fail(connection, messages, by_id))

    # ---- results out

    def runs(
        self, name: str, revision: int | None = None, where: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row a run, in the order of the grid: point_id, parameters, status, measures, seconds.

        ``where`` takes a value, several, or None (null) by column: ``{"cell": "lstm", "gamma": [0.9, 0.99]}``.
        """
        chosen = self.revision(name, revision)
        columns = [measures.c[n] for n in frames.RUN_COLUMNS if n.lower() in self._lower]
        query = _members(chosen.id).with_only_columns(*columns).where(*frames.conditions(where))
        query = query.order_by(points.c.position)
        rows = self.read(lambda connection: connection.execute(query).fetchall())
        made = frames.frame([c.name for c in columns], rows, [c.type for c in columns])
        # any measure may be null, so one of whole numbers has one type whatever the rows
        counts = [c.name for c in columns if isinstance(c.type, Integer) and c.name not in PARAMETERS]
        return made.astype(dict.fromkeys(counts, "Int64"))

    @property
    def _lower(self) -> set[str]:
        return {name.lower() for name in self.columns}

    def record_files(
        self,
        name: str,
        revision: int | None = None,
        where: Mapping[str, Any] | None = None,
        probe: str = "curves",
    ) -> list[tuple[str, list[str]]]:
        """The record files that hold a probe's columns for these runs, each with the point_ids to take from it."""
        chosen = self.revision(name, revision)
        query = (
            _members(chosen.id)
            .join(shards, shards.c.id == measures.c[f"shard_{probe}"])
            .with_only_columns(shards.c.file, measures.c.point_id)
            .where(*frames.conditions(where))
            .order_by(shards.c.file, points.c.position)
        )
        rows = self.read(lambda connection: connection.execute(query).fetchall())
        return [(file, [row[1] for row in group]) for file, group in groupby(rows, itemgetter(0))]

    def sql(
        self, query: str, timeout: float = reading.TIMEOUT_SECONDS, max_rows: int = reading.MAX_ROWS
    ) -> pd.DataFrame:
        """The rows of one SELECT; it can read and nothing else. Raises QueryRefused, with what to do."""
        return reading.run(self, query, timeout, max_rows)

    # ---- upkeep

    def adopt(self, store: Store) -> int:
        """A writer's first act: take in whole files and revisions that the index does not know yet.

        Returns how many record files were taken in.
        """
        return upkeep.adopt(self, store)

    def check(self, store: Store) -> list[upkeep.Finding]:
        """Compare index and files, reading every byte; changes nothing."""
        return upkeep.check(self, store)

    def reindex(self, store: Store) -> int:
        """Make everything in the index anew from the files; returns how many record files there are."""
        return upkeep.reindex(self, store)

    def remove_study(self, name: str, store: Store) -> list[str]:
        """Remove a study, its jobs, and the points that no other study has; returns the deleted record files."""
        self.revision(name)
        return upkeep.remove_study(self, name, store)


def _members(revision_id: int) -> Select[Any]:
    """The runs of a revision; ``with_only_columns`` says what of them."""
    joined = points.join(measures, measures.c.point_id == points.c.point_id)
    return select(points.c.point_id).select_from(joined).where(points.c.revision_id == revision_id)


def _has(probes: Iterable[str]) -> ColumnElement[bool]:
    return and_(
        *(measures.c[f"shard_{probe}"].is_not(None) for probe in probes), measures.c.status != "error"
    )
