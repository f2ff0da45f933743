"""Frames for an analysis: from a study in the store, from rows that a worker measured, or given.

Three frames, as the client returns them:

- ``runs``: one row a point: point_id, parameters, status, measures;
- ``curves``, long: point_id, kind (delta, adjoint, bound, gate_product), lag, ln_norm, q05, q50, q95;
- ``saturation``, long: point_id, step, mean, ln_mean.

And by kind (``service.curves.KINDS``) the lists of the probes that a study has beyond these: ``Frames.long``.

Parameters are taken from ``runs``; the long frames need not repeat them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ..service.curves import BY_LAG, KINDS, long
from ..workers.points import PARAMETERS
from .variants import Variant, headline_gamma, pick, present, variants

if TYPE_CHECKING:
    from ..service.client import Client

DRAWN_KINDS = ("adjoint", "bound", "gate_product")
CURVES = ("point_id", "kind", "lag", "ln_norm", "q05", "q50", "q95")
SATURATION = ("point_id", "step", "mean", "ln_mean")
FURTHER = tuple(name for name in KINDS if name not in (*BY_LAG, "saturation"))
"""Kinds of ``Frames.long``: those of the probes that a study may lack."""
DRAWN_VARIANTS, DRAWN_GAMMAS = 24, 5
"""How many panels of curves a report has, and how many curves a panel: more cannot be told apart."""
_KEYS = ("point_id", "variant", "cell", "gamma", "length", "seed", "status")


Table = Callable[["Frames"], pd.DataFrame]


def once(compute: Table) -> Table:
    """A table that is computed once for the same frames, however many figures and sentences read it."""

    @wraps(compute)
    def table(frames: Frames) -> pd.DataFrame:
        name = f"{compute.__module__}.{compute.__qualname__}"
        if name not in frames.computed:
            frames.computed[name] = compute(frames)
        return frames.computed[name]

    return table


class Lists(Mapping[str, pd.DataFrame]):
    """Long frames by kind, each loaded when it is first asked for: most reports draw few of them."""

    def __init__(self, kinds: Iterable[str], load: Callable[[str], pd.DataFrame]) -> None:
        self._kinds, self._load = tuple(kinds), load
        self._loaded: dict[str, pd.DataFrame] = {}

    def __getitem__(self, kind: str) -> pd.DataFrame:
        if kind not in self._kinds:
            raise KeyError(kind)
        if kind not in self._loaded:
            self._loaded[kind] = self._load(kind)
        return self._loaded[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


@dataclass(frozen=True)
class Frames:
    """The frames of one study, with a column ``variant``. Make it with ``Frames.of``."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    saturation: pd.DataFrame
    variants: dict[str, Variant] = field(default_factory=dict)
    lists: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    """The lists of further probes as they were loaded; read them by ``long``."""
    title: str = "longlag"
    description: str = ""
    scorecard: Mapping[str, Any] | None = None
    """What ``verify`` has found last on the store of these frames; see ``Client.scorecard``."""
    computed: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    """Tables by the function that made them; see ``once``. Nobody writes into a table."""

    @classmethod
    def of(
        cls,
        runs: pd.DataFrame,
        curves: pd.DataFrame | None = None,
        saturation: pd.DataFrame | None = None,
        *,
        title: str = "longlag",
        points: pd.DataFrame | None = None,
        lists: Mapping[str, pd.DataFrame] | None = None,
    ) -> Frames:
        """Frames from what the client returns. ``points``: every point of the study (point_id, parameters); those
        that ``runs`` lacks become rows of status ``missing``. ``lists``: by kind, what ``client.curves`` returns
        for one that has columns of its own."""
        marked, known = variants(_complete(runs, points))
        keys = marked[[k for k in _KEYS if k in marked]]
        curves, saturation = _joined(curves, CURVES, keys), _joined(saturation, SATURATION, keys)
        return cls(marked, curves, saturation, known, lists or {}, title)

    def has(self, *columns: str) -> bool:
        """Whether every one of these measures is there and has a value in some run."""
        return all(c in self.runs and bool(self.runs[c].notna().any()) for c in columns)

    @cached_property
    def fine(self) -> pd.DataFrame:
        """Runs of status ok: the others have no curve, or one that ends early."""
        return self.runs[self.runs["status"] == "ok"]

    @cached_property
    def longest(self) -> pd.DataFrame:
        """Fine runs of the greatest length that each variant has."""
        return longest(self.fine)

    @cached_property
    def drawn(self) -> pd.DataFrame:
        """Runs in ``longest`` whose curves a report draws: at most 24 variants, and five γ of each."""
        runs = self.longest
        parts = []
        for label in present(runs)[:DRAWN_VARIANTS]:
            part = runs[runs["variant"] == label]
            gammas = pick(part["gamma"], DRAWN_GAMMAS, headline_gamma(self.variants[label], part["gamma"]))
            parts.append(part[part["gamma"].isin(gammas)])
        return pd.concat(parts) if parts else runs

    def long(self, kind: str) -> pd.DataFrame:
        """The list columns of one kind (one of ``FURTHER``) of the runs in ``drawn``: point_id, the kind's own
        columns, and the keys of the run; no rows where its probe was not measured."""
        name = f"long {kind}"
        if name not in self.computed:
            keys = self.drawn[[k for k in _KEYS if k in self.drawn]]
            columns = ("point_id", *KINDS[kind].columns)
            self.computed[name] = _joined(self.lists.get(kind), columns, keys)
        return self.computed[name]

    def curve(self, kind: str) -> pd.DataFrame:
        """Curves of one kind of the runs in ``longest``."""
        of_kind = self.curves[self.curves["kind"] == kind]
        return of_kind[of_kind["point_id"].isin(self.longest["point_id"])]


def longest(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of the greatest length of each variant."""
    greatest = runs.groupby("variant", observed=True)["length"].transform("max")
    return runs[runs["length"] == greatest]


def _complete(runs: pd.DataFrame, points: pd.DataFrame | None) -> pd.DataFrame:
    """The runs and, after them, the points that are not there yet; status never null."""
    whole = runs.reset_index(drop=True).copy()
    for name in ("point_id", "cell", "gamma", "length", "seed", "status"):
        if name not in whole:
            whole[name] = pd.Series([None] * len(whole), dtype=object)
    if points is not None:
        absent = points[~points["point_id"].isin(whole["point_id"])]
        if len(absent):
            absent = absent.assign(status="missing")
            whole = pd.DataFrame.from_records(
                [*whole.to_dict("records"), *absent.to_dict("records")], columns=list(whole.columns)
            ).infer_objects()
    whole["status"] = whole["status"].astype(object).where(whole["status"].notna(), "missing")
    whole["gamma"] = whole["gamma"].astype("float64")
    whole["length"] = whole["length"].astype("int64")
    return whole


def _joined(frame: pd.DataFrame | None, columns: tuple[str, ...], keys: pd.DataFrame) -> pd.DataFrame:
    """The long frame's own columns with the keys of its runs; empty where there is none."""
    if frame is None or frame.empty:
        empty = pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})
        empty["point_id"] = empty["point_id"].astype(object)
        if "kind" in empty:
            empty["kind"] = empty["kind"].astype(object)
        return empty.merge(keys.iloc[:0], on="point_id")
    own = frame[[c for c in columns if c in frame]]
    return own.merge(keys, on="point_id", how="inner", validate="many_to_one")


def from_client(client: Client, study: str, revision: int | None = None) -> Frames:
    """Frames of a stored study: all runs, and the curves, saturation and lists that a report draws
    (``Frames.drawn``); lists are read when they are asked for.

    Raises NotFound where there is no such study or revision.
    """
    state = client.show(study, revision)
    runs = client.runs(study, revision)
    points = points_frame(state.study.points()) if len(runs) < state.revision.size else None
    frames = Frames.of(runs, title=study, points=points)
    where = {
        "gamma": frames.drawn["gamma"].unique().tolist(),
        "length": frames.drawn["length"].unique().tolist(),
    }
    kinds = (*DRAWN_KINDS, "delta") if "all_pairs" in state.revision.probes else DRAWN_KINDS
    curves = client.curves(study, revision, where={**where, "status": "ok"}, kind=kinds, parameters=False)
    saturation = client.curves(study, revision, where=where, kind="saturation", parameters=False)

    def read(kind: str) -> pd.DataFrame:
        known = {**where, "status": "ok"}
        return client.curves(study, state.revision.revision, known, kind, parameters=False)

    lists = Lists([kind for kind in FURTHER if KINDS[kind].probe in state.revision.probes], read)
    whole = Frames.of(runs, curves, saturation, title=study, points=points, lists=lists)
    return replace(whole, description=state.study.description, scorecard=client.scorecard())


# -- from rows that a worker measured ----------------------------------------------------------------------


def from_rows(rows: pa.Table, *, title: str = "longlag") -> Frames:
    """Frames of an Arrow table of rows, as ``longlag.workers.measure`` returns and the record files hold."""
    runs = rows.select([f.name for f in rows.schema if not pa.types.is_list(f.type)]).to_pandas()
    there = [name for name, kind in KINDS.items() if set(kind.lists) <= set(rows.column_names)]

    def exploded(kind: str) -> pd.DataFrame:
        return long(rows.select(["point_id", *KINDS[kind].lists]), kind).to_pandas()

    parts = [part for kind in BY_LAG if kind in there and len(part := exploded(kind))]
    curves = pd.concat(parts, ignore_index=True).reindex(columns=list(CURVES)) if parts else None
    saturation = exploded("saturation") if "saturation" in there else None
    lists = Lists([kind for kind in FURTHER if kind in there], exploded)
    return Frames.of(runs, curves, saturation, title=title, lists=lists)


def points_frame(points: Any) -> pd.DataFrame:
    """Points (objects with ``point_id`` and ``to_dict``) as a frame: point_id and every parameter."""
    records = [{"point_id": p.point_id, **p.to_dict()} for p in points]
    return pd.DataFrame.from_records(records, columns=["point_id", *PARAMETERS])
