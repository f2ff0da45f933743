"""Keeping index and files together: adoption, checking, making the index anew, removing a study.

The files are the truth. A file that the index does not know has been written by a worker whose driver died, or
was copied here; a file that the index knows and that is not there is an error that only people can judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, delete, select, text, update

from ..workers import records
from ..workers.errors import BadFile, LonglagError
from ..workers.points import KERNEL_VERSION, PARAMETERS, Point
from ..workers.probes import PROBES
from ..workers.task import Receipt
from . import commit
from .database import Database, moment
from .jobs import refuse_any, refuse_other_revision
from .models import jobs, measures, metadata, points, revisions, shards, studies
from .store import Store
from .study import Study


@dataclass(frozen=True)
class Finding:
    """One thing that ``check`` has found: ``level`` is ``error`` or ``note``, ``text`` says what to do."""

    level: str
    file: str
    text: str


def adopt(database: Database, store: Store) -> int:
    """Take in whole files and revisions that the index does not know; finish removals; sweep leftovers.

    A file that is broken, or whose rows are not what they say, is left alone for ``check``.
    """
    _finish_removals(database, store)
    store.sweep()
    _adopt_revisions(database, store)
    adopted = 0
    for file in sorted(store.files() - database.read(_known_files)):
        try:
            receipt, table = inspect_file(store, file)
        except BadFile:
            continue
        database.write(lambda connection, r=receipt, t=table: commit.commit(connection, r, t, {}))
        adopted += 1
    return adopted


def check(database: Database, store: Store) -> list[Finding]:
    """Compare the index with the files, reading every byte; changes nothing.

    Errors: files that are missing, truncated, altered or broken. Notes: whole files that the next writer adopts,
    files that it deletes, revisions whose text is not in the store.
    """
    known = database.read(
        lambda connection: connection.execute(select(shards).order_by(shards.c.file)).mappings().all()
    )
    there = store.files()
    findings = [finding for row in known for finding in _check_known(store, row, row["file"] in there)]
    for file in sorted(there - {row["file"] for row in known}):
        try:
            inspect_file(store, file)
        except BadFile as problem:
            findings.append(Finding("error", file, f"{problem}; delete it, its points are computed again"))
        else:
            findings.append(Finding("note", file, "whole, but not in the index: the next run takes it in"))
    return [*findings, *_check_revisions(database, store)]


def _check_known(store: Store, row: Any, there: bool) -> list[Finding]:
    file, path = row["file"], store.path(row["file"])
    if row["removed"] is not None:
        return [Finding("note", file, "nothing needs it any more: the next run deletes it")] if there else []
    if not there:
        remedy = "bring it back from a copy; or 'longlag reindex', and run its study again"
        return [Finding("error", file, f"missing ({row['rows']:,} points): {remedy}")]
    remedy = "bring it back from a copy; or delete it, 'longlag reindex', and run its study again"
    try:
        found = records.verify(path)
    except BadFile:
        size = path.stat().st_size
        what = f"truncated ({size:,} of {row['size']:,} bytes)" if size < row["size"] else "broken"
        return [Finding("error", file, f"{what}: {remedy}")]
    if found["sha256"] != row["sha256"] or found["rows"] != row["rows"]:
        return [Finding("error", file, f"altered since it was indexed (sha256 or rows differ): {remedy}")]
    return []


def _check_revisions(database: Database, store: Store) -> list[Finding]:
    columns = (revisions.c.study, revisions.c.revision, revisions.c.toml)
    rows = database.read(lambda connection: connection.execute(select(*columns)).fetchall())
    known = {(study, number): toml for study, number, toml in rows}
    there, findings = set(store.revisions()), []
    for name, number in sorted(known.keys() | there):
        file = f"studies/{name}/{number}.toml"
        if (name, number) not in there:
            findings.append(
                Finding(
                    "note", file, "missing: submit the study again to write it; 'reindex' would forget it"
                )
            )
        elif (name, number) not in known:
            findings.append(Finding("note", file, "not in the index: the next run takes it in"))
        elif store.revision_text(name, number) != known[name, number]:
            findings.append(Finding("error", file, "altered since it was indexed: bring it back from a copy"))
    return findings


def reindex(database: Database, store: Store) -> int:
    """Make the index anew from record files and studies' texts, in one transaction: a crash leaves the old one.

    Jobs and failed points are in no file, and are forgotten. Raises JobConflict while a job runs.
    """
    whole = [receipt for file in sorted(store.files()) if (receipt := _whole(store, file)) is not None]

    def work(connection: Connection) -> int:
        _lock(connection, *metadata.tables)
        refuse_any(connection)
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
        for name, number in store.revisions():
            if study := _study(store, name, number):
                commit.put_revision(connection, study, number)
        for receipt in whole:
            commit.commit(connection, receipt, store.scalars(str(receipt.file)), {})
        if store.revisions():  # what a removed study has left in files that it shared stays removed
            connection.execute(delete(measures).where(measures.c.point_id.not_in(select(points.c.point_id))))
        return len(whole)

    return database.write(work)


def remove_study(database: Database, name: str, store: Store) -> list[str]:
    """Remove a study, its jobs, the points that no other study has, and the files that nothing needs then.

    The transaction marks the files; they are deleted after it, and should that be interrupted the next writer
    goes on with it. Raises JobConflict while a job of the study runs.
    """

    def work(connection: Connection) -> Any:
        _lock(connection, "revisions", "shards")
        refuse_other_revision(connection, name, None)
        mine = select(revisions.c.id).where(revisions.c.study == name)
        doomed = (
            select(points.c.point_id)
            .where(points.c.revision_id.in_(mine))
            .except_(select(points.c.point_id).where(points.c.revision_id.not_in(mine)))
        )
        connection.execute(delete(measures).where(measures.c.point_id.in_(doomed)))
        connection.execute(delete(points).where(points.c.revision_id.in_(mine)))
        connection.execute(delete(jobs).where(jobs.c.study == name))
        connection.execute(delete(revisions).where(revisions.c.study == name))
        connection.execute(delete(studies).where(studies.c.name == name))
        used = " union ".join(f"select shard_{p} from measures where shard_{p} is not null" for p in PROBES)
        connection.execute(
            update(shards)
            .where(shards.c.removed.is_(None), text(f"id not in ({used})"))
            .values(removed=moment(connection))
        )
        if not retired and (aside := store.retire_study(name)):  # last: only the commit is left to go wrong
            retired.append(aside)

    retired: list[Path] = []
    try:
        database.write(work)
    except BaseException:
        for aside in retired:
            store.restore_study(name, aside)
        raise
    for aside in retired:
        store.drop_retired(aside)
    return _finish_removals(database, store)


def _finish_removals(database: Database, store: Store) -> list[str]:
    """Delete the files that a removal has marked; one that a commit has come to need meanwhile stays."""
    marked = select(shards.c.file).where(shards.c.removed.is_not(None)).order_by(shards.c.file)

    def work(connection: Connection) -> list[str]:
        _lock(connection, "shards")
        files = list(connection.execute(marked).scalars())
        store.delete(files)
        connection.execute(delete(shards).where(shards.c.removed.is_not(None)))
        return files

    if not database.read(lambda connection: connection.execute(marked.limit(1)).first()):
        return []
    return database.write(work)


def _adopt_revisions(database: Database, store: Store) -> None:
    query = select(revisions.c.study, revisions.c.revision)
    known = {(name, number) for name, number in database.read(lambda c: c.execute(query).fetchall())}
    for name, number in store.revisions():
        if (name, number) in known or (study := _study(store, name, number)) is None:
            continue

        def work(connection: Connection, study: Study = study, number: int = number) -> None:
            _lock(connection, "revisions")
            same = query.where(revisions.c.study == study.name, revisions.c.revision == number)
            if connection.execute(same).first() is None:
                commit.put_revision(connection, study, number)

        database.write(work)


def _study(store: Store, name: str, number: int) -> Study | None:
    """A revision's study from its text; None where the text is not one that this longlag understands."""
    try:
        study = Study.from_toml(store.revision_text(name, number))
    except LonglagError:
        return None
    return study if study.name == name else None


def _whole(store: Store, file: str) -> Receipt | None:
    try:
        return inspect_file(store, file)[0]
    except BadFile:
        return None


def inspect_file(store: Store, file: str) -> tuple[Receipt, pa.Table]:
    """A record file as if a worker had just handed it in. Raises BadFile where it is not what it says."""
    path = store.path(file)
    found = records.verify(path)
    if found["shard_id"] != path.stem:
        raise BadFile(f"{path}: its footer says shard {found['shard_id']}: give it its name back")
    table = store.scalars(file)
    if found.get("kernel_version") == str(KERNEL_VERSION):
        columns = [table[name].to_pylist() for name in PARAMETERS]
        for point_id, *values in zip(table["point_id"].to_pylist(), *columns, strict=True):
            if Point.trusted(dict(zip(PARAMETERS, values, strict=True))).point_id != point_id:
                raise BadFile(f"{path}: point {point_id} does not have the parameters of that name")
    seconds = float(found.get("seconds", "nan"))
    receipt = Receipt(found["shard_id"], file, found["rows"], found["size"], found["sha256"], seconds=seconds)
    return receipt, table


def _known_files(connection: Connection) -> set[str]:
    return set(connection.execute(select(shards.c.file)).scalars())


def _lock(connection: Connection, *tables: str) -> None:
    """Let no other writer at these tables until the transaction ends; in SQLite there is none anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"lock table {', '.join(tables)} in share row exclusive mode"))
