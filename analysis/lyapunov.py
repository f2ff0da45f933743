"""Lyapunov spectra over seeds: every exponent for the γ that are drawn, the largest and the dimension for all.

``python -m longlag.analysis.lyapunov STUDY`` prints largest exponent and Kaplan–Yorke dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, longest, once
from .statistics import ln, mean_interval
from .text import between, number, short
from .variants import GROUP


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: ``exponent`` λ_1 (natural logarithm a step), mean over n seeds with low and
    high; ``dimension`` (Kaplan–Yorke), the mean, and its smallest and largest seed, as an interval would pass its
    limits 0 and S. Runs of status ok only."""
    by = list(GROUP)
    if not frames.has("gamma_lyapunov", "kaplan_yorke"):
        return pd.DataFrame(columns=by)
    runs = frames.fine[frames.fine["gamma_lyapunov"].notna()]
    values = runs[by].assign(exponent=ln(runs["gamma_lyapunov"]), dimension=runs["kaplan_yorke"])
    result = mean_interval(values, by, "exponent").rename(columns={"mean": "exponent"})
    seeds = values.groupby(by, observed=True)["dimension"]
    ends = seeds.agg(dimension="mean", dimension_least="min", dimension_most="max").reset_index()
    return result.merge(ends, on=by, how="left")


@once
def spectrum(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and index i from 1: ``exponent`` λ_i with low, high and n over seeds, ``share``
    i/S. −inf where it is so in a seed. For what a report draws: ``Frames.drawn``."""
    long = frames.long("lyapunov")
    by = [*GROUP, "index"]
    if long.empty:
        return pd.DataFrame(columns=[*by, "share", "n", "exponent", "low", "high"])
    result = mean_interval(long, by, "exponent").rename(columns={"mean": "exponent"})
    gone = long.assign(gone=np.isneginf(long["exponent"])).groupby(by, observed=True)["gone"].any()
    gone = gone.reindex(pd.MultiIndex.from_frame(result[by])).to_numpy()
    result.loc[gone, ["exponent", "low", "high"]] = [-np.inf, np.nan, np.nan]
    result["index"] += 1
    size = result.groupby(list(GROUP), observed=True)["index"].transform("max")
    result.insert(len(by), "share", result["index"] / size)
    return result


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: the greatest length of each variant."""
    rows = longest(table).to_dict("records") if len(table) else []
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "largest exponent": exponent_text(r),
                "Kaplan–Yorke dimension": dimension_text(r),
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def exponent_text(row: dict) -> str:
    """``−0.275 [−0.324, −0.226]``."""
    return number(row["exponent"], 3) + between(row["low"], row["high"], int(row["n"]), 3)


def dimension_text(row: dict) -> str:
    """``4.92 (3.1 to 6.8)``: the mean, the smallest and the largest seed."""
    mean, least, most = (row[name] for name in ("dimension", "dimension_least", "dimension_most"))
    return number(mean, 3) + ("" if least == most else f" ({number(least, 3)} to {number(most, 3)})")


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, largest exponents and dimensions, or the picture of the spectra."""
    about = "Largest Lyapunov exponent and Kaplan–Yorke dimension, over seeds."
    return run("lyapunov", about, table, shown=shown, figure="lyapunov", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
