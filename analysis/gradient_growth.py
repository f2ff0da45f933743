"""How the gradient grows with the length of the sequence, where the error does not.

∂L/∂W = Σ_k δ_k g(x_k)ᵀ has T terms: under a constant error it grows like T where g(x) has a mean, and like √T where
it has none. The loss itself grows with T as well, as the state does; so what is compared is the gradient for an
error of one: ‖∂L/∂W‖ / √(2L), L = ½‖ŷ − y‖² of a squared loss at the last step.

``python -m longlag.analysis.gradient_growth STUDY``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import ln, mean_interval
from .text import fixed, power_of_ten, short
from .variants import GROUP

NAME = "ln_grad_norm_W"
FEWEST = 3
"""Lengths from which on an exponent is spoken of."""


def _values(frames: Frames) -> pd.DataFrame:
    """Runs that have it, with ``ln_gradient``: the natural logarithm of ‖∂L/∂W‖ / √(2L)."""
    runs = frames.fine
    if not frames.has(NAME, "loss_value") or not {"loss", "loss_times"} <= set(runs):
        return runs.iloc[:0].assign(ln_gradient=0.0)
    runs = runs[(runs["loss"] == "squared") & (runs["loss_times"] == "last")]
    value = runs[NAME].astype("float64") - 0.5 * (ln(runs["loss_value"]) + np.log(2.0))
    runs = runs.assign(ln_gradient=value)[np.isfinite(value)]
    several = runs.groupby(["variant", "gamma"], observed=True)["length"].transform("nunique")
    return runs[several >= FEWEST]


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: mean over seeds of ln(‖∂L/∂W‖ / √(2L)), low, high and n. Runs of status ok,
    where a variant has at least three lengths."""
    return mean_interval(_values(frames), list(GROUP), "ln_gradient")


@once
def exponents(frames: Frames) -> pd.DataFrame:
    """One row a variant and γ: the slope of ln(‖∂L/∂W‖ / √(2L)) on ln T, least squares seed by seed, mean over
    seeds with low, high and n; the first and last length."""
    runs = _values(frames)
    by = ["variant", "gamma"]
    if runs.empty:
        return pd.DataFrame(columns=[*by, "n", "mean", "low", "high", "first", "last"])
    x = pd.Series(np.log(runs["length"].astype("float64")), index=runs.index)
    group = runs.assign(x=x, y=runs["ln_gradient"]).groupby([*by, "seed"], observed=True)
    runs = runs.assign(
        x=x - group["x"].transform("mean"), y=runs["ln_gradient"] - group["y"].transform("mean")
    )
    sums = runs.assign(xy=runs["x"] * runs["y"], xx=runs["x"] ** 2)
    sums = sums.groupby([*by, "seed"], observed=True)[["xy", "xx"]].sum().reset_index()
    sums = sums[sums["xx"] > 0].assign(slope=lambda t: t["xy"] / t["xx"])
    ends = runs.groupby(by, observed=True)["length"].agg(first="min", last="max").reset_index()
    return mean_interval(sums, by, "slope").merge(ends, on=by)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "‖∂L/∂W‖ / √(2L)": power_of_ten(r["mean"]),
                "seeds": r["n"],
            }
            for r in table.to_dict("records")
        ]
    )


def shown_exponents(table: pd.DataFrame) -> pd.DataFrame:
    """The exponents as text, for people."""
    rows = table.to_dict("records")
    spans = ["" if np.isnan(r["low"]) else f" [{fixed(r['low'], 2)}, {fixed(r['high'], 2)}]" for r in rows]
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "exponent of T": f"{fixed(r['mean'], 2)}{span}",
                "T from": int(r["first"]),
                "to": int(r["last"]),
                "seeds": r["n"],
            }
            for r, span in zip(rows, spans, strict=True)
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Gradient of the input weights for an error of one, by length."
    return run("gradient_growth", about, table, shown=shown, figure="gradient_growth", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
