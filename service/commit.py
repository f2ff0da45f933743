"""How results become rows: SQL on one connection, inside the transaction of the caller.

Every statement here may run any number of times with the same result: Ray delivers a shard at least once, drivers
die between the file and the commit, two processes may bring the same file. The rules, for one point:

- no row yet: insert it
- a row of status ``error``: the result takes its place
- a row that lacks some of the file's probes: those columns are filled, nothing else changes
- else: nothing changes; an error never takes the place of a result
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
from sqlalchemy import Connection, bindparam, insert, select, text, update

from ..workers.points import PARAMETERS, Point
from ..workers.probes import BASE_COLUMNS, PROBES
from ..workers.task import Receipt
from .database import moment
from .models import measures, points, revisions, shards, studies
from .study import Study

_ALWAYS = ("point_id", "status", "status_detail", "seconds")
_OF_ALL = (*PARAMETERS, *(c.name for c in BASE_COLUMNS))


def commit(
    connection: Connection, receipt: Receipt, table: pa.Table | None, by_id: Mapping[str, Point]
) -> int:
    """Take in what one delivery of a shard brought; returns how many rows are new or changed.

    ``table``: the scalar columns of its file (``Store.scalars``). ``by_id``: points by point_id, for the
    parameters of those that failed.
    """
    changed = 0
    if receipt.file is not None and table is not None:
        shard = _shard(connection, receipt)
        changed += _rows(connection, table, shard)
    if receipt.errors:
        fail(connection, receipt.errors, by_id)
    return changed


def probes_of(table: pa.Table) -> tuple[str, ...]:
    """The probes that a record file has, of those that this longlag knows."""
    named = (table.schema.metadata or {}).get(b"longlag.probes", b"").decode().split(",")
    return tuple(probe for probe in PROBES if probe in named)


def fail(connection: Connection, errors: Mapping[str, str], by_id: Mapping[str, Point]) -> None:
    """Record points that failed, by point_id, with their messages; a result stays what it is."""
    names = ["point_id", *PARAMETERS, "status", "status_detail"]
    rows = []
    for point_id, message in sorted(errors.items()):
        parameters = by_id[point_id].to_dict() if point_id in by_id else dict.fromkeys(PARAMETERS)
        rows.append({"point_id": point_id, **parameters, "status": "error", "status_detail": message})
    values = ", ".join(f":{name}" for name in names)
    statement = text(
        f"insert into measures ({', '.join(names)}) values ({values}) on conflict (point_id) do update "
        "set status_detail = excluded.status_detail "
        "where measures.status = 'error' and measures.status_detail <> excluded.status_detail"
    ).bindparams(*(bindparam(name, type_=measures.c[name].type) for name in names))
    connection.execute(statement, rows)


def reword_revision(connection: Connection, revision_id: int, study: Study) -> None:
    """Keep the new text of a revision whose grid is the same, and the study's description."""
    changed = update(revisions).where(revisions.c.id == revision_id, revisions.c.digest == study.digest)
    connection.execute(changed.values(toml=study.to_toml()))
    described = update(studies).where(studies.c.name == study.name)
    connection.execute(described.values(description=study.description))


def put_revision(connection: Connection, study: Study, number: int) -> None:
    """Write a revision and its points."""
    described = update(studies).where(studies.c.name == study.name).values(description=study.description)
    if connection.execute(described).rowcount == 0:
        connection.execute(
            insert(studies).values(name=study.name, description=study.description, created=moment(connection))
        )
    made = connection.execute(
        insert(revisions).values(
            study=study.name,
            revision=number,
            digest=study.digest,
            toml=study.to_toml(),
            size=study.size,
            probes=",".join(study.probes),
            created=moment(connection),
        )
    )
    assert made.inserted_primary_key is not None
    first = 0
    for part in study.parts():
        add_points(connection, made.inserted_primary_key[0], part.ids(), first)
        first += len(part)


def add_points(connection: Connection, revision_id: int, point_ids: Sequence[str], first: int = 0) -> None:
    """Members of a revision, in the order of its grid, the first of them at position ``first``."""
    if connection.dialect.name == "postgresql":
        columns = {
            "revision_id": pa.array([revision_id] * len(point_ids), pa.int64()),
            "point_id": pa.array(point_ids, pa.string()),
            "position": pa.array(range(first, first + len(point_ids)), pa.int64()),
        }
        _copy(connection, points.name, pa.table(columns))
    else:
        places = sorted(zip(point_ids, range(first, first + len(point_ids)), strict=True))
        connection.exec_driver_sql(  # in the order of the key, which is the order of the table
            f"insert into points (revision_id, point_id, position) values ({revision_id}, ?, ?)", places
        )


def _shard(connection: Connection, receipt: Receipt) -> int:
    """The row of a record file, and its number; the newest description of the file holds."""
    values = {
        "shard_id": receipt.shard_id,
        "file": receipt.file,
        "rows": receipt.rows,
        "size": receipt.size,
        "sha256": receipt.sha256,
        "seconds": receipt.seconds,
    }
    connection.execute(_put_shard(connection), values)
    return connection.execute(_SHARD_ID, {"wanted": receipt.shard_id}).scalar_one()


_SHARD_ID = select(shards.c.id).where(shards.c.shard_id == bindparam("wanted"))
_PUT: dict[str, Any] = {}
"""By dialect, a statement that takes SQLAlchemy longer to build than the database to run."""


def _put_shard(connection: Connection) -> Any:
    """Insert the row of a file; where it is there, its newest description takes its place."""
    if connection.dialect.name not in _PUT:
        insert = _dialect_insert(connection)(shards).values(committed=moment(connection))
        new = insert.excluded
        _PUT[connection.dialect.name] = insert.on_conflict_do_update(
            index_elements=["shard_id"],
            set_={name: new[name] for name in ("rows", "size", "sha256", "seconds", "committed", "removed")},
            where=(shards.c.sha256 != new.sha256) | shards.c.removed.is_not(None),
        )
    return _PUT[connection.dialect.name]


def _dialect_insert(connection: Connection) -> Any:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    return insert


def _rows(connection: Connection, table: pa.Table, shard: int) -> int:
    """Bring the rows of a file into ``measures``; returns how many are new or changed."""
    probes = probes_of(table)
    rows = _known_columns(table, probes).sort_by("point_id")  # in the order of the key
    for probe in probes:
        rows = rows.append_column(f"shard_{probe}", pa.array([shard] * len(rows), pa.int64()))
    names = rows.column_names
    rule = _upsert_rule(names, probes)
    if connection.dialect.name == "postgresql":
        # the copy lands in a table of this session; from there in one order, so that writers do not deadlock
        connection.execute(
            text("create temp table if not exists incoming (like measures) on commit delete rows")
        )
        connection.execute(text("truncate incoming"))  # several files may come in one transaction
        _copy(connection, "incoming", rows)
        listed = ", ".join(names)
        statement = f"insert into measures ({listed}) select {listed} from incoming order by point_id {rule}"
        return connection.execute(text(statement)).rowcount
    marks = ", ".join("?" * len(names))
    statement = f"insert into measures ({', '.join(names)}) values ({marks}) {rule}"
    values = list(zip(*(_python_values(column) for column in rows.columns), strict=True))
    return connection.exec_driver_sql(statement, values).rowcount if values else 0


def _known_columns(table: pa.Table, probes: Iterable[str]) -> pa.Table:
    """The columns to write: what takes the place of an error's, and all else that is not null throughout."""
    known = {c.name.lower(): c.name for c in measures.columns}
    there = {*_OF_ALL, *(c.name for probe in probes for c in PROBES[probe].columns)}
    wanted = [
        name
        for name in table.column_names
        if name.lower() in known
        and (name in _ALWAYS or (name in there and table[name].null_count < len(table)))
    ]
    return table.select(wanted)


def _upsert_rule(names: Iterable[str], probes: Iterable[str]) -> str:
    """What happens where the point has a row already; see the rules above."""
    owner = {c.name: probe for probe in probes for c in PROBES[probe].columns}
    owner |= {f"shard_{probe}": probe for probe in probes}
    error, sets = "measures.status = 'error'", []
    for name in names:
        if name == "point_id":
            continue
        old, when = f"measures.{name}", error
        if name in owner:
            when = f"{error} or measures.shard_{owner[name]} is null"
        elif name == "seconds":
            old = "measures.seconds + excluded.seconds"
        sets.append(f"{name} = case when {when} then excluded.{name} else {old} end")
    lacking = " or ".join([error, *(f"measures.shard_{probe} is null" for probe in probes)])
    return f"on conflict (point_id) do update set {', '.join(sets)} where {lacking}"


def _python_values(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python values, fast where it can be: most are numbers without a null."""
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()  # few distinct texts: share the objects
        if len(coded.dictionary) < len(column) // 2:
            words = [*coded.dictionary.to_pylist(), None]
            return [words[i] for i in coded.indices.fill_null(len(words) - 1).to_pylist()]
    elif column.null_count == 0 and not pa.types.is_boolean(column.type):
        return column.to_numpy().tolist()
    return column.to_pylist()


def _copy(connection: Connection, table: str, rows: pa.Table) -> None:
    """PostgreSQL's COPY, as CSV made by Arrow: text quoted, null empty."""
    columns = [_without_nan(column) for column in rows.columns]
    buffer = io.BytesIO()
    options = pc_csv.WriteOptions(include_header=False, quoting_style="needed")
    pc_csv.write_csv(pa.table(columns, names=rows.column_names), buffer, options)
    raw: Any = connection.connection.driver_connection
    with (
        raw.cursor() as cursor,
        cursor.copy(f"copy {table} ({', '.join(rows.column_names)}) from stdin (format csv)") as copy,
    ):
        copy.write(buffer.getbuffer())


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null, as SQLite has it."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.call_function(
        "if_else", [pc.call_function("is_nan", [column]), pa.scalar(None, column.type), column]
    )
