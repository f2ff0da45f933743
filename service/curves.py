"""Curves in long form: one row a point, kind and lag, from the list columns of the record files.

Only the columns and rows that are asked for are read; no Python object is made per value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..workers import records
from ..workers.errors import nearest
from ..workers.points import PARAMETERS
from ..workers.probes import PROBES
from .errors import QueryRefused
from .store import Store


@dataclass(frozen=True)
class Kind:
    """Where a kind of curve is kept: its probe, and which list column becomes which column of the frame."""

    probe: str
    columns: dict[str, str]

    @property
    def main(self) -> str:
        """The list column that is null where a point has no such curve."""
        return list(self.columns.values())[1]


KINDS = {
    "delta": Kind(
        "curves",
        {"lag": "lag", "ln_norm": "delta", "q05": "delta_q05", "q50": "delta_q50", "q95": "delta_q95"},
    ),
    "adjoint": Kind(
        "curves",
        {
            "lag": "lag",
            "ln_norm": "adjoint",
            "q05": "adjoint_q05",
            "q50": "adjoint_q50",
            "q95": "adjoint_q95",
        },
    ),
    "bound": Kind("curves", {"lag": "lag", "ln_norm": "bound"}),
    "gate_product": Kind("curves", {"lag": "lag", "ln_norm": "gate_product"}),
    "saturation": Kind(
        "saturation",
        {"step": "saturation_step", "mean": "saturation_curve", "ln_mean": "ln_saturation_curve"},
    ),
}
BY_LAG = ("delta", "adjoint", "bound", "gate_product")
"""Kinds that share a frame; saturation, by step, has one of its own."""

_BY_LAG = ("point_id", "kind", "lag", "ln_norm", "q05", "q50", "q95", *PARAMETERS)
_BY_STEP = ("point_id", "step", "mean", "ln_mean", *PARAMETERS)

Files = Sequence[tuple[str, Sequence[str]]]
"""Record files, each with the point_ids to take from it."""


def kinds_of(kind: str | Iterable[str] | None) -> tuple[str, ...]:
    """The kinds of curves that are meant; None: all by lag. Raises QueryRefused, with the nearest name."""
    kinds = BY_LAG if kind is None else (kind,) if isinstance(kind, str) else tuple(kind)
    for name in kinds:
        if name not in KINDS:
            raise QueryRefused(f"there are no curves of kind {name!r}: {nearest(name, KINDS)}")
    if not kinds or ("saturation" in kinds and len(kinds) > 1):
        raise QueryRefused(f"kind = {kind!r}: give some of {', '.join(BY_LAG)}, or saturation alone")
    return kinds


def read(store: Store, files: Files, kinds: Sequence[str]) -> pd.DataFrame:
    """The curves of these points: point_id, kind, lag, ln_norm, q05, q50, q95 (null where a kind has none) and
    the parameters; of saturation point_id, step, mean, ln_mean and the parameters.

    Raises BadFile where a file is missing or broken.
    """
    lists = sorted({column for name in kinds for column in KINDS[name].columns.values()})
    tables = [_long(rows, name) for rows in _rows(store, files, lists) for name in kinds]
    joined = pa.concat_tables(tables, promote_options="default")
    for name in ("q05", "q50", "q95"):
        if name not in joined.column_names:
            joined = joined.append_column(name, pa.nulls(len(joined), pa.float64()))
    joined = joined.select(_BY_STEP if "saturation" in kinds else _BY_LAG)
    return joined.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)


def _rows(store: Store, files: Files, lists: list[str]) -> Iterator[pa.Table]:
    """The rows of each file, in the order of its point_ids; an empty table at first, for the types."""
    names = ["point_id", *PARAMETERS, *lists]
    form = records.schema(PROBES)
    yield pa.schema([form.field(name) for name in names]).empty_table()
    for file, ids in files:
        rows = records.read(store.path(file), names)
        where = pc.call_function(
            "index_in", [pa.array(ids)], pc.SetLookupOptions(rows["point_id"].combine_chunks())
        )
        yield rows.select(names).take(where)


def _long(rows: pa.Table, name: str) -> pa.Table:
    """One kind of curve, one row a lag; a point that lacks it has none."""
    kind = KINDS[name]
    rows = rows.filter(pc.call_function("is_valid", [rows[kind.main]]))
    parents = pc.call_function("list_parent_indices", [_whole(rows[kind.main])])
    of_point = rows.select(["point_id", *PARAMETERS]).take(parents)
    lists = {
        out: pc.call_function("list_flatten", [_whole(rows[column])]) for out, column in kind.columns.items()
    }
    names = pa.repeat(pa.scalar(name, pa.string()), len(parents))
    return pa.table({**{n: of_point[n] for n in of_point.column_names}, "kind": names, **lists})


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array: positions within a list count from its start."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
