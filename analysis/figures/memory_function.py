"""What a linear read-out of the hidden state finds of the input k steps ago, and its sum against N."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import memory
from ..load import DRAWN_VARIANTS, Frames, longest
from ..tables import Table, listed
from ..text import listing, number, short
from ..variants import Variant, present
from .axes import key_above, lag_axis
from .base import DASHED, INK, MUTED, Figure, Panel, families, over_seeds, tall, thinned
from .series import against_gamma, by_gamma, name_gammas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAR = 6.0
"""N is drawn where it is at most so many times the largest capacity; the table has it."""


def _missing(frames: Frames) -> str | None:
    there = len(frames.long("memory_function")) and frames.has("memory_capacity")
    return None if there and len(_rows(frames)) else "The memory function was not measured in this study."


def _rows(frames: Frames) -> pd.DataFrame:
    table = memory.table(frames)
    return thinned(longest(table)) if len(table) else table


def _panels(frames: Frames) -> list[Panel]:
    table, rows = memory.function(frames), _rows(frames)
    table = table[np.isfinite(table["corrected"])]
    every = [float(g) for g in table["gamma"].unique()]
    sums = [_capacity(frames, title, labels, rows) for title, labels in families(frames, rows)]
    curves = [
        _function(
            frames.variants[label], table[table["variant"] == label], rows[rows["variant"] == label], every
        )
        for label in present(table)[:DRAWN_VARIANTS]
    ]
    return [*sums, *curves]


# -- the capacity ------------------------------------------------------------------------------------------


def _capacity(frames: Frames, title: str, labels: list[str], rows: pd.DataFrame) -> Panel:
    own = rows[rows["variant"].isin(labels)]
    said = []
    for label in labels:
        part = own[own["variant"] == label]
        best = part.iloc[int(part["capacity"].to_numpy().argmax())]
        said.append(
            f"{label} {number(best['capacity'])} of N = {best['units']:.0f} at γ = {short(best['gamma'])}"
        )
    alt = f"Memory capacity against γ. The largest: {listing(said)}."
    return Panel(
        f"capacity: {title}", alt, lambda axes: _draw_sums(axes, frames, labels, own), tall([*labels, "N"])
    )


def _draw_sums(axes: Axes, frames: Frames, labels: list[str], rows: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    handles = against_gamma(axes, frames, rows, labels, ("capacity", "low", "high"))
    highest = _FAR * max(axes.get_ylim()[1], 1.0)
    near = [float(units) for units in sorted(rows["units"].dropna().unique()) if units <= highest]
    for units in near:
        axes.axhline(units, color=INK, linestyle=DASHED, linewidth=1.1, zorder=1)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.05 * max(axes.get_ylim()[1], *near, 0.1))
    axes.set_ylabel("memory capacity Σ MC$_k$")
    if near:
        label = "N, the most there can be"
        handles.append(Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label=label))
    key_above(axes, handles)


# -- the function ------------------------------------------------------------------------------------------


def _function(variant: Variant, table: pd.DataFrame, sums: pd.DataFrame, every: list[float]) -> Panel:
    sums = sums[sums["gamma"].isin(table["gamma"].unique())]
    said = [f"{number(r['capacity'], 3)} at γ = {short(r['gamma'])}" for r in sums.to_dict("records")]
    alt = f"Memory function of the {variant.noun} by lag; its sum is {listing(said)}."
    return Panel(variant.label, alt, lambda axes: _draw_function(axes, table, sums, every))


def _draw_function(axes: Axes, table: pd.DataFrame, sums: pd.DataFrame, every: list[float]) -> None:
    from matplotlib.lines import Line2D

    seen = table[["corrected"]].to_numpy(np.float64)
    floors = sums["bias"].dropna().to_numpy(np.float64)
    high = max(seen.max(), floors.max(initial=0.0), 0.1)
    axes.set_ylim(min(seen.min(), 0.0) - 0.03 * high, 1.06 * high)
    table = table[table["lag"] <= _last(table, floors.max(initial=0.0))]
    lag_axis(axes, float(table["lag"].max()))
    ends = by_gamma(axes, table, "lag", "corrected", every)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    if len(floors):
        axes.axhline(float(floors.mean()), color=INK, linestyle=DASHED, linewidth=1.1, zorder=1)
    axes.set_ylabel("MC$_k$")
    axes.set_xlabel("delay k of the input (steps)")
    handles = [
        Line2D([], [], color=INK, label="measured, corrected"),
        Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="by chance, taken off"),
    ]
    name_gammas(axes, ends, handles)


def _last(table: pd.DataFrame, floor: float) -> float:
    """The delay to which the function is drawn: half as far again as it is above what is there by chance."""
    above = table.loc[table["corrected"] > floor, "lag"]
    return min(max(1.5 * float(above.max()) if len(above) else 0.0, 16.0), float(table["lag"].max()))


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    best = rows.loc[rows.groupby("variant", observed=True)["capacity"].idxmax().dropna()].to_dict("records")
    said = [
        f"{number(r['capacity'], 3)} of N = {r['units']:.0f} at γ = {short(r['gamma'])} in {r['variant']}"
        for r in best[:8]
    ]
    return (
        "MC: share of the variance of the input k steps ago that the best linear read-out of the hidden state "
        "explains, summed over the components of the input, less what is there by chance in so few samples "
        f"(dashed, the mean over the γ). Mean over {over_seeds(rows['n'])}; bands and bars: 95 % interval over "
        "seeds. The sum over k cannot be more than N for white inputs; what lies beyond the delays that are drawn "
        f"is in it. The most at any γ: {listing(said)}."
    )


def _tables(frames: Frames) -> list[Table]:
    note = (
        "Sum of the corrected memory function and its 95 % interval over seeds; uncorrected, and the numerical "
        "rank of the states' covariance, N where all directions are used; what a lag has by chance."
    )
    return [listed("Memory capacity", memory.shown(longest(memory.table(frames))), note)]


MEMORY_FUNCTION = Figure(
    "memory_function",
    "What the state remembers",
    "How much of the input k steps ago can be read linearly from the hidden state, and how much in all?",
    _missing,
    _panels,
    _caption,
    optional=True,
    tables=_tables,
)
