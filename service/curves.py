"""Curves in long form: one row a point, kind and lag (step, unit), from the list columns of the record files.

Only the columns and rows that are asked for are read; no Python object is made per value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
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
    """Where a kind of curve is kept: its probe, and which list column becomes which column of the frame.

    The first column says where on the curve (None: the place in the list, from 0), the second is null where a
    point has no such curve.
    """

    probe: str
    columns: dict[str, str | None]

    @property
    def lists(self) -> list[str]:
        """The list columns of the files that it needs."""
        return [column for column in self.columns.values() if column is not None]

    @property
    def main(self) -> str:
        """The list column that is null where a point has no such curve."""
        return str(list(self.columns.values())[1])


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
    "saturated": Kind(
        "saturation",
        {"step": "saturation_step", "below_05": "saturated_05_curve", "below_25": "saturated_25_curve"},
    ),
    "gates": Kind("gates", {"step": "gate_step", "open": "keep_open_curve", "closed": "keep_closed_curve"}),
    "gate_time": Kind("gates", {"unit": None, "time": "gate_time"}),
    "preserved_norm": Kind("preserved_norm", {"lag": "preserved_lag", "ratio": "preserved_norm"}),
    "memory_function": Kind(
        "memory", {"lag": "memory_lag", "corrected": "memory_function", "raw": "memory_function_raw"}
    ),
    "lyapunov": Kind("lyapunov", {"index": None, "exponent": "lyapunov_spectrum"}),
    "jacobian": Kind(
        "jacobian",
        {
            "lag": "jacobian_lag",
            "ln_max": "jacobian_ln_max",
            "ln_mean": "jacobian_ln_mean",
            "ln_condition": "jacobian_ln_condition",
            "rank": "jacobian_rank",
            "resolved": "jacobian_resolved",
        },
    ),
    "singular_values": Kind("jacobian", {"place": None, "ln_singular": "jacobian_ln_singular"}),
    "pairs": Kind(
        "all_pairs",
        {
            "lag": "pair_lag",
            "mean": "pair_mean",
            "spread": "pair_spread",
            "q05": "pair_q05",
            "q50": "pair_q50",
            "q95": "pair_q95",
        },
    ),
    "pair_map": Kind("pair_map", {"place": None, "ln_norm": "pair_map"}),
    "window": Kind(
        "gradient_by_lag",
        {"window": "window", "share": "window_share", "cosine": "window_cosine", "ln_norm": "window_ln_norm"},
    ),
    "truncation": Kind(
        "truncated_bptt",
        {
            "window": "truncation_window",
            "bias": "truncation_bias",
            "cosine": "truncation_cosine",
            "ratio": "truncation_ratio",
        },
    ),
}
BY_LAG = ("delta", "adjoint", "bound", "gate_product")
"""Kinds that share a frame; every other has one of its own."""
ALONE = tuple(name for name in KINDS if name not in BY_LAG)

_BY_LAG = ("point_id", "kind", "lag", "ln_norm", "q05", "q50", "q95")

Files = Sequence[tuple[str, Sequence[str]]]
"""Record files, each with the point_ids to take from it."""


def kinds_of(kind: str | Iterable[str] | None) -> tuple[str, ...]:
    """The kinds of curves that are meant; None: all by lag. Raises QueryRefused, with the nearest name."""
    kinds = BY_LAG if kind is None else (kind,) if isinstance(kind, str) else tuple(kind)
    for name in kinds:
        if name not in KINDS:
            raise QueryRefused(f"there are no curves of kind {name!r}: {nearest(name, KINDS)}")
    if not kinds or (len(kinds) > 1 and not set(kinds) <= set(BY_LAG)):
        raise QueryRefused(
            f"kind = {kind!r}: give some of {', '.join(BY_LAG)}, or one alone of {', '.join(ALONE)}"
        )
    return kinds


def read(
    store: Store, files: Files, kinds: Sequence[str], parameters: Sequence[str] = tuple(PARAMETERS)
) -> pd.DataFrame:
    """The curves of these points: point_id, kind, lag, ln_norm, q05, q50, q95 (null where a kind has none) and
    these ``parameters``; of a kind with a frame of its own point_id, its columns and the parameters.

    Raises BadFile where a file is missing or broken.
    """
    lists = sorted({column for name in kinds for column in KINDS[name].lists})
    tables = [long(rows, name) for rows in _rows(store, files, [*parameters, *lists]) for name in kinds]
    joined = pa.concat_tables(tables, promote_options="default")
    if kinds[0] in ALONE:
        joined = joined.select(("point_id", *KINDS[kinds[0]].columns, *parameters))
    else:
        for name in ("q05", "q50", "q95"):
            if name not in joined.column_names:
                joined = joined.append_column(name, pa.nulls(len(joined), pa.float64()))
        joined = joined.select((*_BY_LAG, *parameters))
    return joined.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)


def _rows(store: Store, files: Files, columns: list[str]) -> Iterator[pa.Table]:
    """The rows of each file, in the order of its point_ids; an empty table at first, for the types."""
    names = ["point_id", *columns]
    form = records.schema(PROBES)
    yield pa.schema([form.field(name) for name in names]).empty_table()
    for file, ids in files:
        rows = records.read(store.path(file), names)
        for name in names:  # a list that a probe had not yet when the file was written
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.nulls(len(rows), form.field(name).type))
        where = pc.call_function(
            "index_in", [pa.array(ids)], pc.SetLookupOptions(rows["point_id"].combine_chunks())
        )
        yield rows.select(names).take(where)


def long(rows: pa.Table, name: str) -> pa.Table:
    """One kind of curve, one row a lag, step or unit, of rows that have its list columns; a point that lacks it
    has none. Columns: point_id and the parameters that ``rows`` has, kind, the kind's own."""
    kind = KINDS[name]
    rows = rows.filter(pc.call_function("is_valid", [rows[kind.main]]))
    main = _whole(rows[kind.main])
    parents = pc.call_function("list_parent_indices", [main])
    of_point = rows.select([n for n in ("point_id", *PARAMETERS) if n in rows.column_names]).take(parents)
    lists = {
        out: _places(main) if column is None else pc.call_function("list_flatten", [_whole(rows[column])])
        for out, column in kind.columns.items()
    }
    names = pa.repeat(pa.scalar(name, pa.string()), len(parents))
    return pa.table({**{n: of_point[n] for n in of_point.column_names}, "kind": names, **lists})


def _places(lists: pa.Array) -> pa.Array:
    """The place of every value in its list, from 0."""
    sizes = pc.call_function("list_value_length", [lists]).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    return pa.array(np.arange(sizes.sum()) - np.repeat(starts, sizes), pa.int64())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array: positions within a list count from its start."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
