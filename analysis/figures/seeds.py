"""The end of the curve of every seed around its geometric mean, with the other averages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import seeds
from ..load import Frames
from ..tables import Table, listed
from ..text import listing, number, power_of_ten, short
from ..variants import present
from .axes import key_above
from .base import (
    INK,
    PANEL,
    PAPER,
    Figure,
    Panel,
    at_length,
    columns_of,
    families,
    not_drawn,
    over_seeds,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

_LN10 = np.log(10.0)
MOST = 24
_AVERAGES = {"median": "D", "arithmetic": "^"}
_SEED: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 4.5,
    "alpha": 0.65,
    "markeredgewidth": 0,
}
_OPEN: dict[str, Any] = {"linestyle": "", "markerfacecolor": PAPER, "markeredgecolor": INK}


def _missing(frames: Frames) -> str | None:
    table = seeds.table(frames)
    if table.empty:
        return f"No variant has {seeds.LEAST} seeds with a curve."
    return None if (table["sd"] > 1e-9).any() else "The seeds are all alike at the end of the curve."


def _panels(frames: Frames) -> list[Panel]:
    table, values = seeds.table(frames), seeds.values(frames)
    return [_panel(frames, title, labels, table, values) for title, labels in families(frames, table)]


def _panel(frames: Frames, title: str, labels: list[str], table: pd.DataFrame, values: pd.DataFrame) -> Panel:
    rows = table[table["variant"].isin(labels)]
    said = [
        f"{r['variant']} geometric {power_of_ten(r['geometric'])}, arithmetic {power_of_ten(r['arithmetic'])}"
        for r in rows.to_dict("records")
    ]
    alt = f"What is left at the end of the curve, seed by seed: {listing(said)}."
    size = (PANEL[0], 1.5 + 0.42 * max(len(labels), 3))
    return Panel(title, alt, lambda axes: _draw(axes, frames, rows, values), size, right=0.2)


def _draw(axes: Axes, frames: Frames, rows: pd.DataFrame, values: pd.DataFrame) -> None:
    styles, spans = variant_styles(frames), []
    for place, row in enumerate(rows.to_dict("records")):
        ends = values.loc[values["variant"] == row["variant"], "end"].to_numpy(np.float64)
        x = (np.sort(ends) - row["geometric"]) / _LN10
        spans += [x[0], x[-1]]
        _draw_row(axes, place, row, x, styles[str(row["variant"])]["color"])
    half = max(*np.abs(spans), 0.05) * 1.12
    axes.set_xlim(-half, half)
    axes.set_ylim(len(rows) - 0.5, -0.62)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("decades from the geometric mean over seeds")
    key_above(axes, _key())


def _draw_row(axes: Axes, place: int, row: dict[Any, Any], x: NDArray[np.float64], colour: str) -> None:
    """The seeds ``x`` of a variant in decades from their geometric mean, its averages, and its name above."""
    from matplotlib.patheffects import withStroke

    height = place + 0.12 * np.sin(2.4 * np.arange(len(x)))  # apart, so that equal ones can be counted
    axes.plot(x, height, **_SEED, color=colour)
    axes.plot([0, 0], [place - 0.17, place + 0.26], color=INK, linewidth=1.6)
    for name, marker in _AVERAGES.items():
        axes.plot((row[name] - row["geometric"]) / _LN10, place, marker=marker, markersize=6.5, **_OPEN)
    text = f"{row['variant']}, γ = {short(row['gamma'])}: {power_of_ten(row['geometric'])}"
    axes.text(
        0.01,
        place - 0.36,
        re.sub(r"\^([−\d.,]+)", r"$^{\1}$", text),
        transform=axes.get_yaxis_transform(),
        color=colour,
        fontsize=9,
        va="center",
        path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
        zorder=5,
    )


def _key() -> list[Line2D]:
    from matplotlib.lines import Line2D

    bar: dict[str, Any] = {"linestyle": "", "marker": "|", "markersize": 10, "markeredgewidth": 1.6}
    return [
        Line2D([], [], **_SEED, color=INK, label="a seed"),
        Line2D([], [], **bar, color=INK, label="geometric"),
        *(Line2D([], [], marker=marker, label=name, **_OPEN) for name, marker in _AVERAGES.items()),
    ]


def _caption(frames: Frames) -> str:
    table = seeds.table(frames)
    labels = present(table)
    widest = table.iloc[int((table["arithmetic"] - table["geometric"]).to_numpy().argmax())]
    size = (widest["arithmetic"] - widest["geometric"]) / _LN10
    apart = (
        f" The averages disagree, most in {widest['variant']}, where the arithmetic mean is {number(size, 2)} "
        "decades above the geometric one: it is made by the largest few seeds."
        if size >= 0.005
        else ""
    )
    return (
        f"‖λ‖ at the first step over ‖λ‖ at the last, at {at_length(table)}: {over_seeds(table['n'])}, each a mean "
        f"of logarithms over {columns_of(frames)}; one γ a variant, and its geometric mean beside the name.{apart} "
        f"This report's means are geometric."
        f"{not_drawn(len(labels), min(len(labels), MOST))}"
    )


def _tables(frames: Frames) -> list[Table]:
    return [listed("Averages over seeds at the end of the curve", seeds.shown(seeds.table(frames)))]


SEEDS = Figure(
    "seeds",
    "One seed is not another",
    "How far are the seeds of one and the same network apart, and which average is meant?",
    _missing,
    _panels,
    _caption,
    optional=True,
    tables=_tables,
)
