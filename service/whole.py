"""All runs of a large revision as a frame, from the record files: the columns lie there as a frame has them.

SQL makes a Python object of every value, which for a million runs is a minute. The index says which files there are
and which points the revision has; where it knows more than the files (a point in several of them, results that were
removed), it is asked for the rows themselves instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Connection, Text, cast, func, select

from ..workers import records
from ..workers.errors import BadFile
from ..workers.points import PARAMETERS
from ..workers.probes import PROBES
from .database import Database
from .frames import RUN_COLUMNS
from .models import measures, points, shards
from .store import Store

LARGE = 20_000
"""Points of a revision from which on its files are read."""
_THREADS = 2
_DIGITS = 32  # of a point_id


def runs(database: Database, store: Store, revision_id: int, columns: Sequence[str]) -> pd.DataFrame | None:
    """The runs of a revision in the order of its grid, with these of ``RUN_COLUMNS``, as ``Index.runs`` gives them.

    None where the files do not have one row for every result of the index, or one cannot be read.
    """
    return database.read(lambda connection: _runs(connection, store, revision_id, columns))


def _runs(connection: Connection, store: Store, revision_id: int, columns: Sequence[str]) -> Any:
    form = records.schema(PROBES)
    names = [name for name in RUN_COLUMNS if name in columns]
    there = connection.execute(select(shards.c.file, shards.c.rows).where(shards.c.removed.is_(None))).all()
    wrong = measures.c.status == "error"
    known = dict(connection.execute(select(wrong, func.count()).group_by(wrong)).tuples().all())
    if not there or sum(rows for _, rows in there) != known.get(False, 0):
        return None  # else every result is in one file, and every row of a file is a result
    with ThreadPoolExecutor(_THREADS) as threads:
        read = [threads.submit(_read, store, file, names, form) for file, _ in sorted(map(tuple, there))]
        members = _members(connection, revision_id)
        failed = _failed(connection, revision_id, names, form) if known.get(True) else []
        try:
            parts = [*(one.result() for one in read), *failed]
        except (BadFile, OSError, pa.ArrowException):
            return None
        order = _order(parts, members)
        if order is None:
            return None
        made = threads.map(lambda name: _frame_column(name, parts, order, form.field(name).type), names)
        return pd.DataFrame(dict(zip(names, made, strict=True)), copy=False)


class _Members(NamedTuple):
    """The points of a revision: ids (n, 32) as bytes, and their positions in the grid."""

    ids: NDArray[np.uint8]
    positions: NDArray[np.int64]


def _members(connection: Connection, revision_id: int) -> _Members:
    """As two texts, which take a tenth of the time of a million rows."""
    texts = select(
        func.aggregate_strings(points.c.point_id, ""),
        func.aggregate_strings(cast(points.c.position, Text), ","),
    )
    ids, positions = connection.execute(texts.where(points.c.revision_id == revision_id)).one()
    content = np.frombuffer((ids or "").encode(), np.uint8)
    return _Members(content.reshape(-1, _DIGITS), np.fromstring(positions or "", np.int64, sep=","))


@dataclass(frozen=True)
class _Part:
    """The rows of a file: ``same`` has the value of columns that have one, ``columns`` the others."""

    rows: int
    same: dict[str, Any]
    columns: dict[str, pa.ChunkedArray]

    def column(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        """A column, of one value or many."""
        if name in self.same:
            return pa.chunked_array([pa.repeat(pa.scalar(self.same[name], kind), self.rows)])
        return self.columns[name]


def _read(store: Store, file: str, names: Sequence[str], form: pa.Schema) -> _Part:
    with pq.ParquetFile(store.path(file)) as opened:
        there = set(opened.schema_arrow.names)
        same = {name: None for name in names if name not in there} | _same(opened.metadata, set(names))
        table = opened.read(columns=[n for n in names if n not in same], use_threads=False)
        columns = {name: table[name].cast(form.field(name).type) for name in table.column_names}
        return _Part(opened.metadata.num_rows, same, columns)


def _same(metadata: pq.FileMetaData, names: set[str]) -> dict[str, Any]:
    """The columns that have one value throughout, by the file's own statistics; of a zero these lose the sign."""
    if metadata.num_row_groups != 1:
        return {}
    group, same = metadata.row_group(0), {}
    for i in range(group.num_columns):
        column = group.column(i)
        name, statistics = column.path_in_schema, column.statistics
        if name not in names or statistics is None:
            continue
        if statistics.null_count == metadata.num_rows:
            same[name] = None
        elif statistics.null_count or not statistics.has_min_max:
            continue
        elif statistics.min == statistics.max != 0:
            same[name] = statistics.min
    return same


def _failed(connection: Connection, revision_id: int, names: Sequence[str], form: pa.Schema) -> list[_Part]:
    """Points that failed are in no file."""
    joined = points.join(measures, measures.c.point_id == points.c.point_id)
    chosen = select(*(measures.c[name] for name in names)).select_from(joined)
    failed = chosen.where(points.c.revision_id == revision_id, measures.c.status == "error")
    rows = [dict(zip(names, row, strict=True)) for row in connection.execute(failed)]
    table = pa.Table.from_pylist(rows, schema=pa.schema([form.field(name) for name in names]))
    return [_Part(len(rows), {}, {name: table[name] for name in names})] if rows else []


def _order(parts: Sequence[_Part], members: _Members) -> NDArray[np.int64] | None:
    """The rows of the revision, in the order of its grid, as places in all parts together. None where it cannot be
    told: two ids begin with the same digits."""
    columns = [part.column("point_id", pa.string()) for part in parts]
    texts = pa.concat_arrays([chunk for column in columns for chunk in column.chunks])
    content = np.frombuffer(texts.buffers()[2], np.uint8)
    if len(content) != _DIGITS * len(texts) or not len(members.ids):
        return None
    there = content.reshape(-1, _DIGITS)
    keys, wanted = _keys(there), _keys(members.ids)
    rows, by_key = np.argsort(keys), np.argsort(wanted)
    keys, wanted = keys[rows], wanted[by_key]
    place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    found = wanted[place] == keys
    rows, point = rows[found], by_key[place[found]]
    words = there.view(np.uint64), members.ids.view(np.uint64)
    if (words[0][rows] != words[1][point]).any():
        return None
    return rows[np.argsort(members.positions[point])]


def _keys(ids: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first sixteen hexadecimal digits of every id (n, 32), as a number."""
    digits = ids[:, :16]
    digits = np.where(digits > ord("9"), digits - (ord("a") - 10), digits - ord("0")).astype(np.uint8)
    return np.ascontiguousarray(digits[:, ::2] << 4 | digits[:, 1::2]).view(">u8")[:, 0].astype(np.uint64)


def _frame_column(name: str, parts: Sequence[_Part], order: NDArray[np.int64], kind: pa.DataType) -> Any:
    """A column of the frame, of the type that ``Index.runs`` gives it."""
    first = parts[0].same.get(name, parts)
    if all(part.same.get(name, part) == first for part in parts):
        whole = pa.chunked_array([pa.repeat(pa.scalar(first, kind), len(order))])
    elif pa.types.is_floating(kind):
        return np.concatenate([part.column(name, kind).to_numpy() for part in parts])[order]
    else:
        chunks = [chunk for part in parts for chunk in part.column(name, kind).chunks]
        whole = pa.chunked_array(chunks, kind).take(pa.array(order))
    if pa.types.is_floating(kind):
        return whole.to_numpy()
    if pa.types.is_integer(kind) and name in PARAMETERS and not whole.null_count:
        return whole.to_numpy()
    return _EXTENSION[kind].__from_arrow__(whole)


_EXTENSION: dict[pa.DataType, Any] = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
