"""Singular values of the product of Jacobians: the fan of ln σ_i, condition and effective rank by lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import singular_values
from ..load import Frames
from ..text import fixed, listing, number, power_of_ten, short
from ..variants import Variant, headline_gamma, present
from .axes import Floats, decades, key_above, lag_axis, steps_axis
from .base import (
    DASHED,
    INK,
    Figure,
    Panel,
    at_length,
    not_drawn,
    over_seeds,
    tall,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LN10 = np.log(10.0)
FANS, TOGETHER = 8, 8
FEW = 12
"""Up to so many singular values each is a line."""
RESOLVED = 12.0
"""Decades below σ_1 to which a singular value is a number."""
FLOOR, CEILING = -40.0, 12.0
BANDS = ((0.0, 1.0, 0.14), (0.05, 0.95, 0.18), (0.25, 0.75, 0.24))
"""Shares of the S singular values between which a band is filled, and how strongly."""


def _missing(frames: Frames) -> str | None:
    return None if len(_chosen(frames)) else "No singular values were measured in this study."


def _chosen(frames: Frames) -> pd.DataFrame:
    """The curves of each variant at the γ nearest to its cell's default."""
    table = singular_values.table(frames)
    if table.empty:
        return table
    default = {
        label: headline_gamma(frames.variants[label], table.loc[table["variant"] == label, "gamma"])
        for label in present(table)
    }
    return table[table["gamma"] == table["variant"].astype(object).map(default)]


def _panels(frames: Frames) -> list[Panel]:
    table, fan = _chosen(frames), singular_values.fan(frames)
    labels = present(table)
    panels = []
    for label in labels[:FANS]:
        own = table[table["variant"] == label]
        spread = fan[(fan["variant"] == label) & (fan["gamma"] == own["gamma"].iloc[0])]
        panels.append(_fan(frames, frames.variants[label], own, spread))
    for name in ("ln_condition", "rank"):
        if table[name].notna().any():
            panels.append(_together(frames, name, table, labels[:TOGETHER]))
    return panels


# -- the fan -----------------------------------------------------------------------------------------------


def _fan(frames: Frames, variant: Variant, table: pd.DataFrame, fan: pd.DataFrame) -> Panel:
    last = table.iloc[-1]
    gamma = float(last["gamma"])
    alt = (
        f"Singular values of the product of Jacobians of the {variant.noun} at γ = {short(gamma)}: at lag "
        f"{int(last['lag']):,} the largest is {power_of_ten(last['ln_max'])}, their geometric mean "
        f"{power_of_ten(last['ln_mean'])}, the effective rank {number(last['rank'], 3)}."
    )
    runs = frames.longest
    own = runs[(runs["variant"] == variant.label) & (runs["gamma"] == gamma)]
    nominal = (
        float(np.log(own["gamma_nominal"].astype("float64")).mean()) if "gamma_nominal" in own else np.nan
    )
    colour = variant_styles(frames)[variant.label]["color"]
    title = f"{variant.label}, γ = {short(gamma)}"
    return Panel(title, alt, lambda axes: _draw_fan(axes, variant, table, fan, nominal, colour), right=0.2)


def _draw_fan(
    axes: Axes, variant: Variant, table: pd.DataFrame, fan: pd.DataFrame, nominal: float, colour: str
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lag = table["lag"].to_numpy(dtype="float64")
    top, mean = (table[name].to_numpy() / _LN10 for name in ("ln_max", "ln_mean"))
    wide = (
        fan.pivot(index="lag", columns="index", values="ln_singular").reindex(table["lag"]).to_numpy() / _LN10
    )
    floor = top - RESOLVED
    _window(axes, top, wide, lag[-1] * nominal / _LN10)
    lines = 0 < wide.shape[1] <= FEW
    if lines:
        axes.plot(lag, wide, color=colour, linewidth=0.8, alpha=0.8)
    elif wide.shape[1]:
        for low, high, strength in BANDS:
            upper, lower = (ranked(wide, share, floor) for share in (1 - high, 1 - low))
            axes.fill_between(lag, lower, upper, color=colour, alpha=strength, linewidth=0)
    axes.plot(lag, top, color=colour, linewidth=1.8)
    axes.plot(lag, mean, color=INK, linewidth=1.2)
    handles: list[Any] = [
        Line2D([], [], color=colour, linewidth=1.8, label="σ$_1$"),
        Line2D([], [], color=INK, linewidth=1.2, label="mean of ln σ"),
    ]
    if np.isfinite(nominal):
        axes.plot([0, lag[-1]], [0, lag[-1] * nominal / _LN10], color=INK, linestyle=DASHED, linewidth=1.1)
        word = "bound γ$^ℓ$" if variant.bounded else "γ$^ℓ$, no bound"
        handles.append(Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label=word))
    shade = Line2D([], [], color=colour, linewidth=0.8, alpha=0.8, label="every σ")
    handles.append(shade if lines else Patch(facecolor=colour, alpha=0.45, label="all, 90 %, 50 % of σ"))
    lag_axis(axes, float(lag[-1]))
    decades(axes)
    axes.set_ylabel("singular value")
    key_above(axes, handles)


def ranked(wide: Floats, share: float, floor: Floats) -> Floats:
    """By lag the singular value below whose rank a share of the others lies above it: share 0 is the largest, 1 the
    smallest. (lags, S) descending -> (lags,). What is no number is set to the floor (lags,)."""
    column = wide[:, round(share * (wide.shape[1] - 1))]
    return np.where(np.isnan(column), floor, np.maximum(column, floor))


def _window(axes: Axes, top: Floats, wide: Floats, bound: float) -> None:
    """Everything that is a number, and the bound; the mean may leave it, far below what is one."""
    seen = np.concatenate([top, wide.ravel(), [0.0, bound]])
    seen = seen[np.isfinite(seen)]
    largest = top[np.isfinite(top)]
    lowest = float(largest.min()) - RESOLVED if len(largest) else -1.0
    if not np.isnan(wide).any():
        lowest = max(lowest, float(seen.min()))
    low, high = max(lowest, FLOOR), min(float(seen.max()), CEILING)
    margin = 0.05 * (high - low) + 0.3
    axes.set_ylim(low - margin, high + margin)


# -- condition and rank ------------------------------------------------------------------------------------

_NAMES = {
    "ln_condition": ("condition number", "σ$_1$ / σ$_S$", "largest over smallest singular value"),
    "rank": ("effective rank", "effective rank / S", "effective rank as a share of S"),
}


def _together(frames: Frames, name: str, table: pd.DataFrame, labels: list[str]) -> Panel:
    title, axis, words = _NAMES[name]
    sizes = _sizes(frames)
    ends, drawn = [], {}
    for label in labels:
        part = table[(table["variant"] == label) & table[name].notna()]
        if part.empty:
            continue
        scale = 1 / _LN10 if name == "ln_condition" else 1 / sizes[label]
        lag = part["lag"].to_numpy(dtype="float64")
        drawn[label] = (lag, *(part[f"{name}{end}"].to_numpy() * scale for end in ("", "_low", "_high")))
        end = part.iloc[-1]
        value = power_of_ten(end[name]) if name == "ln_condition" else fixed(end[name] * scale, 2)
        ends.append(f"{label} {value} at lag {int(end['lag']):,}")
    alt = f"By lag the {words}: {listing(ends)}."
    return Panel(title, alt, lambda axes: _draw_together(axes, frames, name, drawn, axis), tall(list(drawn)))


def _sizes(frames: Frames) -> dict[str, int]:
    """S of each variant: how many singular values a lag has."""
    fan = singular_values.fan(frames)
    return {str(label): int(n) for label, n in fan.groupby("variant", observed=True)["index"].max().items()}


def _draw_together(axes: Axes, frames: Frames, name: str, drawn: dict[str, Any], axis: str) -> None:
    from matplotlib.lines import Line2D

    styles = variant_styles(frames)
    for label, (lag, y, low, high) in drawn.items():
        look = styles[label]
        axes.fill_between(lag, low, high, color=look["color"], alpha=0.2, linewidth=0)
        axes.plot(lag, y, **look, markevery=max(len(lag) // 8, 1), linewidth=1.2)
    steps_axis(axes, max(float(lag[-1]) for lag, *_ in drawn.values()), "lag ℓ (steps)")
    if name == "ln_condition":
        axes.set_ylim(0, max(RESOLVED, 1.05 * max(float(np.max(y)) for _, y, *_ in drawn.values())))
        decades(axes)
    else:
        axes.set_ylim(0, 1.03)
    axes.set_ylabel(axis)
    key_above(axes, [Line2D([], [], **styles[label], linewidth=1.2, label=label) for label in drawn])


def _caption(frames: Frames) -> str:
    table = _chosen(frames)
    labels = present(table)
    return (
        "Singular values σ_1 ≥ … ≥ σ_S of J_T J_{T−1} … J_{T−ℓ+1} at "
        f"{at_length(table)}, for each variant at the γ nearest to its cell's own: each σ_i a geometric mean over "
        f"{over_seeds(table['n'])}, and of each seed over the first batch columns. Bands hold all σ, and the "
        "middle 90 and 50 % of them: they are no intervals. A σ below 10^−12 of the largest is no number and is "
        "drawn there; the mean of ln σ comes from the determinant and counts all. Condition and effective rank "
        "(exp of the entropy of σ_i/Σσ) with 95 % interval over seeds; the condition ends where it passes 10^12 in "
        "some seed."
        f"{not_drawn(len(labels), min(len(labels), FANS))}"
    )


SINGULAR_VALUES = Figure(
    "singular_values",
    "Singular values of the way back",
    "Into how few directions is the error squeezed on its way back?",
    _missing,
    _panels,
    _caption,
    optional=True,
)
