"""The gradient of the input weights, for an error of one, against the length of the sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import gradient_growth
from ..load import Frames
from ..tables import Table, listed
from ..text import fixed, listing, short
from ..variants import headline_gamma, present
from .axes import decades, key_above, steps_axis
from .base import DASHED, INK, Figure, Panel, columns_of, not_drawn, over_seeds, tall, variant_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LN10 = np.log(10.0)
MOST = 8


def _missing(frames: Frames) -> str | None:
    few = f"No variant has a squared loss at the last step and {gradient_growth.FEWEST} lengths."
    return None if len(gradient_growth.table(frames)) else few


def _chosen(frames: Frames) -> dict[str, float]:
    """The variants that are drawn, each at the γ nearest to its cell's own."""
    table = gradient_growth.table(frames)
    own = {label: table.loc[table["variant"] == label, "gamma"] for label in present(table)[:MOST]}
    return {label: headline_gamma(frames.variants[label], gammas) for label, gammas in own.items()}


def _panels(frames: Frames) -> list[Panel]:
    chosen, exponents = _chosen(frames), gradient_growth.exponents(frames)
    said = []
    for label, gamma in chosen.items():
        row = exponents[(exponents["variant"] == label) & (exponents["gamma"] == gamma)].iloc[0]
        said.append(f"{label} (γ = {short(gamma)}) like T to the power {fixed(row['mean'], 2)}")
    alt = f"Norm of ∂L/∂W for an error of one against the length T: {listing(said)}."
    names = [f"{label}, γ = 0.99" for label in chosen]
    size = tall([*names, "", ""])
    return [Panel("by length", alt, lambda axes: _draw(axes, frames, chosen), size)]


def _draw(axes: Axes, frames: Frames, chosen: dict[str, float]) -> None:
    from matplotlib.lines import Line2D

    table, styles, handles = gradient_growth.table(frames), variant_styles(frames), []
    parts = [table[(table["variant"] == label) & (table["gamma"] == g)] for label, g in chosen.items()]
    for (label, gamma), part in zip(chosen.items(), parts, strict=True):
        y, low, high = (part[name].to_numpy() / _LN10 for name in ("mean", "low", "high"))
        error = np.maximum(np.nan_to_num([y - low, high - y]), 0)
        axes.errorbar(part["length"], y, error, **styles[label], linewidth=1.2, elinewidth=1.4)
        handles.append(Line2D([], [], **styles[label], linewidth=1.2, label=f"{label}, γ = {short(gamma)}"))
    drawn = pd.concat(parts)
    first, last = float(drawn["length"].min()), float(drawn["length"].max())
    start = float(drawn.loc[drawn["length"] == first, "mean"].median()) / _LN10
    guides: tuple[tuple[float, Any, str], ...] = ((1.0, DASHED, "∝ T"), (0.5, ":", "∝ √T"))
    for power, line, name in guides:
        ends = [start, start + power * np.log10(last / first)]
        axes.plot([first, last], ends, color=INK, linestyle=line, linewidth=1.1, zorder=1)
        handles.append(Line2D([], [], color=INK, linestyle=line, linewidth=1.1, label=name))
    steps_axis(axes, last, "length T (steps)")
    axes.set_xlim(first / 1.15, last * 1.15)
    axes.set_xticks(lengths := sorted(drawn["length"].unique()), [f"{T:,}" for T in lengths])
    decades(axes)
    axes.set_ylabel("‖∂L/∂W‖ / √(2L)")
    key_above(axes, handles)


def _caption(frames: Frames) -> str:
    table = gradient_growth.table(frames)
    labels = present(table)
    return (
        "Norm of the gradient of the input weights for an error of one: over √(2L), as L = ½‖ŷ − y‖² grows with T "
        f"too. Geometric mean over {over_seeds(table['n'])}, each summed over {columns_of(frames)}; bars: 95 % "
        "interval over seeds. Dashed and dotted: T and √T from the middle of the shortest ones. A constant error "
        "summed over T steps gives T where the summands have a mean and √T where they have none; an error that "
        f"vanishes gives no growth at all.{not_drawn(len(labels), min(len(labels), MOST))}"
    )


def _more(frames: Frames) -> list[Table]:
    shown = gradient_growth.shown_exponents(gradient_growth.exponents(frames))
    return [listed("Exponents of T, least squares seed by seed, mean and 95 % interval", shown)]


GRADIENT_GROWTH = Figure(
    "gradient_growth",
    "The gradient of longer sequences",
    "How does the gradient grow with the length, where the error does not vanish and where it does?",
    _missing,
    _panels,
    _caption,
    optional=True,
    more=_more,
)
