"""Histogram of the units' gate times with the nominal one, and how many keep gates stand open or closed by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import gates
from ..load import DRAWN_VARIANTS, Frames, longest
from ..statistics import finite
from ..tables import Table, listed
from ..text import listing, number, short
from ..variants import Variant, present
from .axes import End, key_above, label_ends, steps_axis
from .base import DASHED, INK, PANEL, Figure, Panel, gamma_colours, over_seeds
from .series import by_gamma, name_gammas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 48


def _missing(frames: Frames) -> str | None:
    return (
        None
        if len(frames.long("gate_time"))
        else "Gates were not measured in this study, or no cell has one."
    )


def _panels(frames: Frames) -> list[Panel]:
    times, steps = frames.long("gate_time"), gates.steps(frames)
    every = [float(g) for g in times["gamma"].unique()]
    panels = []
    for label in present(times)[:DRAWN_VARIANTS]:
        variant = frames.variants[label]
        panels.append(_times(variant, times[times["variant"] == label], every))
        panels.append(_steps(variant, steps[steps["variant"] == label], every))
    return panels


def _times(variant: Variant, rows: pd.DataFrame, every: list[float]) -> Panel:
    medians = rows.groupby("gamma")["time"].median()
    said = [f"{number(time, 3)} steps at γ = {short(float(str(g)))}" for g, time in medians.items()]
    alt = f"Histogram of the gate times of the {variant.noun}; their median is {listing(said)}."
    return Panel(f"{variant.label}: gate times", alt, lambda axes: _draw_times(axes, rows, every), right=0.2)


def _draw_times(axes: Axes, rows: pd.DataFrame, every: list[float]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = rows.assign(time=finite(rows["time"]))
    rows = rows[rows["time"] > 0]
    nominal = gates.nominal(rows["gamma"].drop_duplicates())
    edges = _edges(np.concatenate([rows["time"].to_numpy(np.float64), nominal.to_numpy()]))
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    marks, top = [], 0.0
    for gamma, colour in gamma_colours(rows["gamma"].unique(), every).items():
        part = rows[rows["gamma"] == gamma]
        pooled = _shares(part["time"], edges)
        axes.stairs(pooled, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        for _, seed in part.groupby("point_id", observed=True):
            share = _shares(seed["time"], edges)
            axes.stairs(share, edges, color=colour, linewidth=0.6, alpha=0.7)
            top = max(top, float(share.max()))
        time = float(gates.nominal(pd.Series([gamma])).iloc[0])
        axes.axvline(time, color=colour, linestyle=DASHED, linewidth=1.1)
        marks.append((time, short(gamma), colour))
    axes.set_ylim(0, max(top, 0.01) * 1.18)
    label_ends(axes, [End(at, axes.get_ylim()[1], text, colour, "ceiling") for at, text, colour in marks])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.12g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("gate time −1/⟨ln f⟩ (steps)")
    axes.set_ylabel("share of units")
    handles = [
        Patch(color=INK, alpha=0.3, linewidth=0, label="all seeds"),
        Line2D([], [], color=INK, linewidth=0.6, label="each seed"),
        Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="nominal, −1/ln γ"),
    ]
    key_above(axes, handles)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of bins, evenly on the logarithm, around all finite values, over at least a factor of four."""
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (np.log(values.min()), np.log(values.max())) if len(values) else (0.0, 0.0)
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.08, np.log(2.0))
    return np.exp(np.linspace(middle - half, middle + half, BINS + 1))


def _shares(times: pd.Series, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(times.to_numpy(np.float64), edges)[0]
    return counts / max(len(times), 1)


def _steps(variant: Variant, table: pd.DataFrame, every: list[float]) -> Panel:
    last = table[table["step"] == table["step"].max()]
    said = [
        f"{number(r['open'])} open and {number(r['closed'])} closed at γ = {short(r['gamma'])}"
        for r in last.to_dict("records")
    ]
    alt = f"Fractions of the keep gates of the {variant.noun} at the last step: {listing(said)}."
    title = f"{variant.label}: open and closed"
    return Panel(title, alt, lambda axes: _draw_steps(axes, table, every), PANEL)


def _draw_steps(axes: Axes, table: pd.DataFrame, every: list[float]) -> None:
    from matplotlib.lines import Line2D

    steps_axis(axes, float(table["step"].max()))
    axes.set_ylim(-0.02, 1.02)
    ends = by_gamma(axes, table, "step", "open", every, interval=("open_low", "open_high"))
    by_gamma(
        axes,
        table,
        "step",
        "closed",
        every,
        interval=("closed_low", "closed_high"),
        linestyle=":",
        linewidth=1.5,
    )
    axes.set_ylabel("fraction of keep gates")
    handles = [
        Line2D([], [], color=INK, label="open, above 0.9"),
        Line2D([], [], color=INK, linestyle=":", linewidth=1.5, label="closed, below 0.1"),
    ]
    name_gammas(axes, ends, handles)


def _caption(frames: Frames) -> str:
    times = frames.long("gate_time")
    seeds = times.groupby(["variant", "gamma"], observed=True)["point_id"].nunique()
    never = int((~np.isfinite(times["time"].to_numpy(np.float64))).sum())
    beyond = f" {never:,} units never close and are not drawn." if never else ""
    return (
        "A unit's gate time is −1/⟨ln f⟩, f its keep or forget gate, over steps and batch columns. Filled: the "
        f"units of {over_seeds(seeds)} together; thin outlines: each seed by itself. Dashed: −1/ln γ, the time of "
        f"a gate whose net input is its bias alone.{beyond} Open and closed: fractions of units and columns whose "
        "keep gate is above 0.9 or below 0.1, by step; means over seeds, band: 95 % interval over seeds."
    )


def _tables(frames: Frames) -> list[Table]:
    shown = gates.shown(longest(gates.table(frames)))
    note = (
        "Median over units, then geometric mean over seeds with its 95 % interval. Of each gate the fractions of "
        "steps, columns and units above 0.9 and below 0.1, means over seeds."
    )
    return [listed("Gate times in steps, and open and closed gates", shown, note)]


GATES = Figure(
    "gates",
    "How long gates keep",
    "Do the units keep as long as their γ promises, and do gates stand open or closed?",
    _missing,
    _panels,
    _caption,
    optional=True,
    tables=_tables,
)
