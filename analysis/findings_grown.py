"""What the data say of growth: of the error by γ, of the gradient with the length, beside the product of the gates;
and what a calibrated γ costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import decay, gradient_growth, phase
from .load import Frames, longest
from .sentences import MOST, at_headline, together
from .statistics import mean_interval
from .text import fixed, listing, power_of_ten, short, spread
from .variants import GROUP, Variant, present

_LN10 = np.log(10.0)


def growth(frames: Frames) -> list[str]:
    """From which γ on the error explodes."""
    if not frames.has("ln_ratio_end"):
        return []
    table = longest(phase.table(frames))
    grows = table[table["decades"] > 0.3]
    over = "Over the longest sequences the error grows"
    if table["decades"].notna().any() and grows.empty:
        return [f"{over} nowhere in this study."]
    sure = grows[~(grows["decades_low"] <= 0)]
    open_ = [f"the {frames.variants[v].noun}" for v in present(grows) if v not in present(sure)]
    parts = [
        _growth(frames.variants[label], sure[sure["variant"] == label]) for label in present(sure)[:MOST]
    ]
    texts = [f"{over} in {listing(parts)}."] if parts else []
    if open_:
        begun = "In" if parts else f"{over} for certain nowhere; in"
        texts.append(
            f"{begun} {listing(open_[:MOST])} it grows in the mean at some γ, but the interval over seeds "
            "includes shrinking."
        )
    return texts


def _growth(variant: Variant, rows: pd.DataFrame) -> str:
    top = rows.iloc[int(rows["decades"].to_numpy().argmax())].to_dict()
    low, high = (power_of_ten(top[end] * _LN10) for end in ("decades_low", "decades_high"))
    interval = spread(low, high, int(top["n"]))
    size = f"up to {power_of_ten(top['decades'] * _LN10)} times{interval} at γ = {short(top['gamma'])}"
    return f"the {variant.noun} from γ = {short(rows['gamma'].min())} ({size})"


def gates(frames: Frames) -> list[str]:
    """The product of the gates is not the gradient."""
    table = frames.curves[
        frames.curves["kind"].isin(("adjoint", "gate_product")) & (frames.curves["status"] == "ok")
    ]
    table = longest(table)
    if table.empty:
        return []
    last = table[table["lag"] == table.groupby("point_id", observed=True)["lag"].transform("max")]
    ends = last.pivot_table(
        index=[*GROUP, "point_id"], columns="kind", values="ln_norm", observed=True
    ).reset_index()
    if not {"adjoint", "gate_product"} <= set(ends):
        return []
    ends["more"] = ends["adjoint"] - ends["gate_product"]
    means = ends.groupby(list(GROUP), observed=True)[["adjoint", "gate_product"]].mean().reset_index()
    means = means.merge(mean_interval(ends, list(GROUP), "more"), on=list(GROUP))
    rows = [r for r in at_headline(frames, means[means["n"] > 0]) if r[0].gated]
    if not rows:
        return []
    lag = int(max(row["length"] for _, _, row in rows)) - 1
    said = [(variant, gamma, _against_gates(row)) for variant, gamma, row in rows]
    sizes = [row["mean"] for _, _, row in rows]
    return together(
        said, sizes, (f"carries, at lag {lag:,}, ", f"carry, at lag {lag:,}, "), ("carries ", "carry ")
    )


def _against_gates(row: dict) -> str:
    more, low, high = (row[name] / _LN10 for name in ("mean", "low", "high"))
    both = f"{power_of_ten(row['adjoint'])} against {power_of_ten(row['gate_product'])}"
    if abs(more) < 0.05:
        return f"just the product of its gates ({both})"
    if more < 0:
        low, high = -high, -low
    interval = spread(fixed(low, 1), fixed(high, 1), int(row["n"]))
    side = "more" if more > 0 else "less"
    return f"{fixed(abs(more), 1)} decades{interval} {side} than the product of its gates ({both})"


def with_length(frames: Frames) -> list[str]:
    """The gradient of the input weights for an error of one grows like T^1.01 [0.99, 1.03]."""
    table = gradient_growth.exponents(frames)
    if table.empty:
        return []
    rows = at_headline(frames, table.assign(length=table["last"]))
    said = [(variant, gamma, _exponent(row)) for variant, gamma, row in rows]
    first, last = (int(f(table[name])) for f, name in ((min, "first"), (max, "last")))
    what = f"from T = {first:,} to {last:,} a ‖∂L/∂W‖, for an error ‖ŷ − y‖ of one, that grows like T to the power "
    sizes = [row["mean"] for _, _, row in rows]
    return together(said, sizes, (f"has {what}", f"have {what}"), "one to the power ")


def _exponent(row: dict) -> str:
    return fixed(row["mean"], 2) + spread(fixed(row["low"], 2), fixed(row["high"], 2), int(row["n"]))


def calibrated(frames: Frames) -> list[str]:
    """A realised γ of 1 takes a nominal γ of 1.57 [1.55, 1.58] in the simple tanh network."""
    table = longest(decay.table(frames)) if frames.has("gamma_nominal") else pd.DataFrame()
    rows = [r for r in at_headline(frames, table) if r[0].gamma_kind == "realised"]
    rows = [r for r in rows if np.isfinite(r[2]["gamma_nominal"])]
    said = [(variant, gamma, _nominal(row)) for variant, gamma, row in rows]
    sizes = [row["gamma_nominal"] for _, _, row in rows]
    return together(said, sizes, ("takes a nominal γ of ", "take a nominal γ of "), "one of ")


def _nominal(row: dict) -> str:
    low, high = row["gamma_nominal_low"], row["gamma_nominal_high"]
    return fixed(row["gamma_nominal"], 3) + spread(fixed(low, 3), fixed(high, 3), int(row["n_gamma_nominal"]))
