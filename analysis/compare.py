"""What a change does: differences between points that are equal in everything else, the seed included.

Weights and inputs depend on the seed but not on cell, γ or length, so two variants at the same γ, length and seed
are a pair, and the interval of their difference is much shorter than that of two means.
``python -m longlag.analysis.compare STUDY`` compares the cell variants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, longest, once
from .statistics import finite, ln, mean_interval
from .text import between, fixed, number, short
from .variants import GROUP

_RATES = {"mean": "decay_rate", "low": "decay_rate_low", "high": "decay_rate_high"}
_RATIOS = ("horizon_kind", "horizon_ratio", "horizon_low", "horizon_high", "horizon_n")
_KEYS = ["gamma", "length", "level", "reference"]


def paired(runs: pd.DataFrame, measure: str, axis: str = "variant", reference: Any = None) -> pd.DataFrame:
    """Mean paired difference of a measure, level minus reference, over the seeds that both have.

    ``axis`` is ``variant``, ``gamma`` or ``length``; the other two group, so nothing is averaged over them. A row:
    the group, level, reference, n pairs, mean, low, high (t-interval). ``reference``: the first level if None.
    """
    by = [name for name in GROUP if name != axis]
    values = finite(runs[measure]) if measure in runs else pd.Series(np.nan, index=runs.index)
    both = _pairs(runs.assign(value=values), ["value"], axis, reference)
    both = both.assign(difference=both["value"] - both["value_reference"])
    table = mean_interval(both, [*by, "level", "reference"], "difference")
    return table[table["n"] > 0].reset_index(drop=True)


def _pairs(runs: pd.DataFrame, columns: list[str], axis: str, reference: Any) -> pd.DataFrame:
    """Each point beside the one that is equal but for ``axis``, where that is ``reference``: group, seed, level,
    reference, ``columns``, and the same of the other point with ``_reference`` behind their names."""
    if reference is None and len(runs):
        reference = runs[axis].min()
    keys = [*(name for name in GROUP if name != axis), "seed"]
    rows = runs[[axis, *keys, *columns]].drop_duplicates([axis, *keys])
    chosen = rows[axis] == reference
    both = rows[~chosen].merge(rows[chosen].drop(columns=axis), on=keys, suffixes=("", "_reference"))
    return both.rename(columns={axis: "level"}).assign(reference=reference)


@once
def table(frames: Frames) -> pd.DataFrame:
    """Every variant against the first that has some γ and length in common with it, at every such γ and length.

    decay_rate is the difference in natural logarithm a lag; horizon_ratio the factor by which the 1 % horizon
    grows, with ``horizon_kind``: ``ratio``, or ``more than`` / ``less than`` where censoring leaves only a limit.
    """
    parts = [pd.DataFrame(columns=[*_KEYS, "n", *_RATES.values(), *_RATIOS])]
    for first, others in _families(frames).items():
        runs = frames.fine[frames.fine["variant"].isin([first, *others])]
        rates = paired(runs, "decay_rate", "variant", first).rename(columns=_RATES)
        ratios = horizon_ratios(runs, first)
        none = rates.assign(**dict.fromkeys(_RATIOS, np.nan))
        parts.append(rates.merge(ratios, on=_KEYS, how="outer") if len(ratios) else none)
    if len(parts) == 1:
        return parts[0]
    whole = pd.concat(parts[1:], ignore_index=True)[list(parts[0].columns)]
    order = {label: i for i, label in enumerate(frames.variants)}
    keys = whole.assign(
        a=whole["reference"].astype(object).map(order), b=whole["level"].astype(object).map(order)
    )
    return whole.loc[keys.sort_values(["a", "b", "gamma", "length"]).index].reset_index(drop=True)


def _families(frames: Frames) -> dict[str, list[str]]:
    """Variants by the first one whose γ means the like (a weight about 1, or a gate) and with which they share
    some γ and length."""
    grids = {
        label: set(zip(part["gamma"], part["length"], strict=True))
        for label, part in frames.fine.groupby("variant", observed=True)
    }
    families: dict[str, list[str]] = {}
    for label in (v for v in frames.variants if v in grids):
        alike = (
            f for f in families if frames.variants[f].default_gamma == frames.variants[label].default_gamma
        )
        first = next((f for f in alike if grids[f] & grids[label]), None)
        families.setdefault(first or label, [])
        if first:
            families[first].append(label)
    return {first: others for first, others in families.items() if others}


def horizon_ratios(runs: pd.DataFrame, reference: str, name: str = "horizon_1") -> pd.DataFrame:
    """Factor by which a horizon of each variant exceeds the reference's at the same γ, length and seed."""
    if name not in runs or f"{name}_censored" not in runs:
        return pd.DataFrame(columns=[*_KEYS, *_RATIOS])
    cut = runs[f"{name}_censored"].isin([True])
    known = finite(runs[name]).where(~cut, runs["length"].astype("float64") - 1)
    both = _pairs(runs.assign(ln=ln(known), cut=cut), ["ln", "cut"], "variant", reference)
    both = both.assign(d=both["ln"] - both["ln_reference"]).dropna(subset=["d"])
    return _ratios(both.rename(columns={"cut": "above", "cut_reference": "below"}))


def _ratios(pairs: pd.DataFrame) -> pd.DataFrame:
    """Ratios over the seeds of each group: d is the ln ratio of a pair, above and below tell whether
    the level or the reference is censored, at the same limit."""
    means = mean_interval(pairs, _KEYS, "d").rename(columns={"n": "horizon_n"})
    groups = pairs.groupby(_KEYS, observed=True, sort=True)
    ends = groups.agg(least=("d", "min"), most=("d", "max"), above=("above", "max"), below=("below", "max"))
    whole = means.merge(ends.reset_index(), on=_KEYS)
    above, below = whole["above"] > 0, whole["below"] > 0
    kinds = [~above & ~below, above & ~below, below & ~above]
    ratio = np.select(kinds, [whole["mean"], whole["least"], whole["most"]], np.nan)
    whole = whole.assign(
        horizon_kind=np.select(kinds, ["ratio", "more than", "less than"], "unknown"),
        horizon_ratio=np.exp(ratio),
        horizon_low=np.exp(np.select(kinds, [whole["low"], np.nan, -np.inf], np.nan)),
        horizon_high=np.exp(np.select(kinds, [whole["high"], np.inf, np.nan], np.nan)),
    )
    return whole[[*_KEYS, *_RATIOS]]


def ratio_text(row: dict) -> str:
    """``× 2.3 [1.9, 2.8]``, ``more than × 24``; – where both reach beyond the end."""
    kind = row["horizon_kind"]
    if not isinstance(kind, str) or kind == "unknown":
        return "–"
    if kind != "ratio":
        return f"{kind} × {number(row['horizon_ratio'])}"
    interval = between(row["horizon_low"], row["horizon_high"], int(row["horizon_n"]), 3)
    return f"× {number(row['horizon_ratio'], 3)}{interval}"


def rate_text(row: dict) -> str:
    """The difference of decay rates with its interval, in natural logarithm a lag."""
    if np.isnan(row["decay_rate"]):
        return "–"
    sign = "+" if row["decay_rate"] > 0 else ""
    if row["n"] == 1 or np.isnan(row["decay_rate_low"]):
        return f"{sign}{fixed(row['decay_rate'], 3)}{between(math.nan, math.nan, int(row['n']))}"
    low, high = (fixed(row[name], 3) for name in ("decay_rate_low", "decay_rate_high"))
    return f"{sign}{fixed(row['decay_rate'], 3)} [{low}, {high}]"


def headline(frames: Frames, table: pd.DataFrame) -> pd.DataFrame:
    """Of each pair of variants the row at the γ nearest to the cell's default, and at the greatest length there."""
    default = (
        table["reference"].astype(object).map({v.label: v.default_gamma for v in frames.variants.values()})
    )
    far = (table["gamma"].astype("float64") - default.astype("float64")).abs()
    order = table.assign(_far=far).sort_values(["_far", "length"], ascending=[True, False], kind="stable")
    return table.loc[order.drop_duplicates(["reference", "level"]).index.sort_values()].reset_index(drop=True)


def longest_only(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at the greatest length of each variant."""
    return longest(table.assign(variant=table["level"])) if len(table) else table


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: the greatest length only."""
    if table.empty:
        return table
    rows = longest_only(table).to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["level"],
                "against": r["reference"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "decay rate": rate_text(r),
                "1 % horizon": ratio_text(r),
                "pairs": r["horizon_n"] if np.isnan(r["n"]) else int(r["n"]),
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table."""
    about = "Paired differences between cell variants, with 95 % intervals over the seeds that they share."
    return run("compare", about, table, shown=shown, argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
