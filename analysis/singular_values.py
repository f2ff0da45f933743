"""Singular values of the product of Jacobians by lag, over seeds: the largest, the mean, condition, effective rank.

``python -m longlag.analysis.singular_values STUDY`` prints them at lags 1, 2, 4, … for the γ that a report draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import mean_interval
from .text import number, power_of_ten, short
from .variants import GROUP

CURVES = ("ln_max", "ln_mean", "ln_condition", "rank", "resolved")
_KEYS = [*GROUP, "lag"]


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and lag: ln_max (ln σ_1), ln_mean (mean of ln σ_i), ln_condition (null where it
    is no number in some seed), rank (effective), resolved (how many σ_i are numbers): means over n seeds with
    ``_low`` and ``_high``. For what a report draws: ``Frames.drawn``."""
    long = frames.long("jacobian")
    if long.empty:
        return pd.DataFrame(columns=[*_KEYS, "n", *CURVES])
    result = long[_KEYS].drop_duplicates().sort_values(_KEYS, ignore_index=True)
    for name in CURVES:
        part = mean_interval(long, _KEYS, name)
        result = result.merge(
            part.rename(
                columns={"mean": name, "low": f"{name}_low", "high": f"{name}_high", "n": f"n_{name}"}
            ),
            on=_KEYS,
            how="left",
        )
    result = result.rename(columns={"n_resolved": "n"}).drop(columns=["n_ln_max", "n_ln_mean", "n_rank"])
    partly = (
        result.pop("n_ln_condition") < result["n"]
    )  # a mean of the seeds whose condition is small would mislead
    result.loc[partly, ["ln_condition", "ln_condition_low", "ln_condition_high"]] = np.nan
    return result


@once
def fan(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length, lag and index i from 1: ``ln_singular``, the mean over seeds of ln σ_i; null
    where it is no number in some seed. For what a report draws: ``Frames.drawn``."""
    long, lags = frames.long("singular_values"), frames.long("jacobian")
    by = [*_KEYS, "index"]
    if long.empty or lags.empty:
        return pd.DataFrame(columns=[*by, "ln_singular"])
    values = long.groupby("point_id", sort=False)["place"].transform("size")
    counts = lags.groupby("point_id", sort=False)["lag"].size()
    size = (values / long["point_id"].map(counts)).astype("int64")  # S values a lag
    whole = long.assign(index=long["place"] % size + 1, row=long["place"] // size)
    numbered = lags.assign(row=lags.groupby("point_id", sort=False).cumcount())[["point_id", "row", "lag"]]
    whole = whole.merge(numbered, on=["point_id", "row"], validate="many_to_one")
    groups = whole.groupby(by, observed=True, sort=True)["ln_singular"]
    result = groups.agg(ln_singular="mean", n="count", all="size").reset_index()
    result["ln_singular"] = result["ln_singular"].where(result["n"] == result["all"])
    return result[[*by, "ln_singular"]]


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: at lags 1, 2, 4, … and the last."""
    if table.empty:
        return table
    last = table.groupby(list(GROUP), observed=True)["lag"].transform("max")
    rows = table[table["lag"].isin(2 ** np.arange(40)) | (table["lag"] == last)].to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "lag": int(r["lag"]),
                "σ_1": power_of_ten(r["ln_max"]),
                "mean": power_of_ten(r["ln_mean"]),
                "condition": power_of_ten(r["ln_condition"]),
                "effective rank": number(r["rank"], 3),
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the singular values as a table or a picture."""
    about = "Singular values of the product of Jacobians by lag: means over seeds of logarithms."
    return run("singular_values", about, table, shown=shown, figure="singular_values", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
