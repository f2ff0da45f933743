"""All pairs: error terms from a loss at every step t to every step k, by lag, and how much they differ with t.

``python -m longlag.analysis.pairs STUDY`` prints them at lags 1, 2, 4, … beside the point's own curve, which speaks
of its own loss times only. Where the spread over t is large, one curve cannot stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .command import run
from .load import Frames, once
from .statistics import mean_interval
from .text import number, power_of_ten, short
from .variants import GROUP, headline_gamma, present

_KEYS = [*GROUP, "lag"]
_LN10 = np.log(10.0)
QUANTILES = ("q05", "q50", "q95")


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and lag, natural logarithms relative to lag 0: ``mean`` over all t (mean over
    seeds, with low, high and n), ``q05``, ``q50``, ``q95`` over t and columns and ``spread`` (standard deviation
    over t; means over seeds, spread_low, spread_high), and ``own``, the point's delta curve. For what is drawn."""
    rows = frames.long("pairs")
    whole = mean_interval(rows, _KEYS, "mean").set_index(_KEYS)
    for name in QUANTILES:
        whole[name] = mean_interval(rows, _KEYS, name).set_index(_KEYS)["mean"]
    spread = mean_interval(rows, _KEYS, "spread").set_index(_KEYS)
    whole[["spread", "spread_low", "spread_high"]] = spread[["mean", "low", "high"]]
    whole["spread_low"] = whole["spread_low"].clip(lower=0.0)  # a standard deviation is not below zero
    own = frames.curve("delta")
    own = own[own["point_id"].isin(rows["point_id"])]
    whole["own"] = mean_interval(own, _KEYS, "ln_norm").set_index(_KEYS)["mean"]
    return whole.reset_index()


@dataclass(frozen=True)
class Map:
    """ln‖δ_{t,k}‖ − ln‖δ_{t,t}‖ (T, T): row t − 1, column k − 1; NaN for k > t and where no seed has a number."""

    gamma: float
    seeds: int
    values: NDArray[np.float64]


MOST_VALUES = 10_000_000
"""Of more values in all than that no map is drawn: they would not fit in memory as rows of a table."""


def too_many(frames: Frames) -> bool:
    """Whether maps were measured that are too large to be drawn."""
    lengths = frames.drawn["length"].astype("float64")
    return "pair_map" in frames.lists and float((lengths**2).sum()) > MOST_VALUES


def maps(frames: Frames) -> dict[str, Map]:
    """The map of each variant at its headline γ: mean of logarithms over the seeds that have a number there. None
    where there are more than ``MOST_VALUES``."""
    found: dict[str, Map] = {}
    if too_many(frames):
        return found
    rows = frames.long("pair_map")
    for label in present(rows):
        part = rows[rows["variant"] == label]
        gamma = headline_gamma(frames.variants[label], part["gamma"])
        part = part[part["gamma"] == gamma]
        T, places = int(part["length"].iloc[0]), part["place"].to_numpy(np.int64)
        values = part["ln_norm"].to_numpy(np.float64)
        there = np.isfinite(values)
        count = np.bincount(places[there], minlength=T * T)
        total = np.bincount(places[there], values[there], minlength=T * T)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(T, T)
        found[label] = Map(gamma, int(part["point_id"].nunique()), mean)
    return found


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: at lags 1, 2, 4, … and the last."""
    last = table.groupby(list(GROUP), observed=True)["lag"].transform("max")
    rows = table[table["lag"].isin(2 ** np.arange(40)) | (table["lag"] == last)].to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "lag": int(r["lag"]),
                "all t": power_of_ten(r["mean"]),
                "5 … 95 %": f"{power_of_ten(r['q05'])} … {power_of_ten(r['q95'])}",
                "spread over t (decades)": number(r["spread"] / _LN10),
                "own curve": power_of_ten(r["own"]),
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Error terms from a loss at every step, by lag, and their spread over the time of the loss."
    return run("pairs", about, table, shown=shown, figure="all_pairs", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
