"""Mean of f' by time: the read-out of the memory cell with its guide, and the other cells beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import saturated, saturation
from ..load import DRAWN_GAMMAS, Frames, longest
from ..tables import Table, listed
from ..text import listing, number, short
from ..variants import Variant, headline_gamma, pick, present
from .axes import End, Floats, decades, key_above, label_ends, leaving, name_of_labels, steps_axis
from .base import DASHED, INK, Figure, Panel, gamma_colours, over_seeds, tall, variant_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEMORIES, OTHERS = 4, 8
FLOOR = -4.0
_LINES: tuple[dict[str, Any], ...] = ({"linewidth": 1.4}, {"linestyle": DASHED, "linewidth": 1.1})


def _missing(frames: Frames) -> str | None:
    if frames.saturation.empty:
        return "Saturation was not measured in this study."
    return None if _drawn(frames) else "No cell of this study squashes its state: a linear loop has f' = 1."


def _panels(frames: Frames) -> list[Panel]:
    table = saturation.table(frames)
    there = _drawn(frames)
    memories = [v for v in there if v.cell == "memory"]
    panels = [_memory(frames, v, table[table["variant"] == v.label]) for v in memories[:MEMORIES]]
    others = [v for v in there if v.cell != "memory"][:OTHERS]
    title = "the other cells" if memories else "mean slope"
    panels += [_others(frames, others, table, title)] if others else []
    return [*panels, *_saturated(frames)]


def _drawn(frames: Frames) -> list[Variant]:
    """The variants whose slope can close."""
    there = [frames.variants[label] for label in present(saturation.table(frames))]
    return [v for v in there if v.cell != "linear"]


def _memory(frames: Frames, variant: Variant, table: pd.DataFrame) -> Panel:
    gammas = pick(table["gamma"], DRAWN_GAMMAS, headline_gamma(variant, table["gamma"]))
    ends = [
        f"{number(part['mean'].iloc[-1])} at γ = {short(g)}"
        for g in gammas
        if len(part := table[table["gamma"] == g])
    ]
    alt = f"Mean slope of the {variant.noun}'s read-out at step {int(table['step'].max())}: {listing(ends)}."
    drawn = table[table["gamma"].isin(gammas)]
    return Panel(variant.label, alt, lambda axes: _draw_memory(axes, frames, variant, drawn))


def _draw_memory(axes: Axes, frames: Frames, variant: Variant, table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    last = float(table["step"].max())
    steps_axis(axes, last)
    lowest = _log10(table["mean"].to_numpy()).min()
    axes.set_ylim(max(FLOOR, lowest - 0.3), 0.1)
    handles = [
        Line2D([], [], color=INK, label="measured"),
        Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="Gaussian sums"),
    ]
    ends: list[End] = []
    for gamma, colour in gamma_colours(table["gamma"].unique()).items():
        part = table[table["gamma"] == gamma]
        x = part["step"].to_numpy(dtype="float64")
        y, low, high, guide = (_log10(part[name].to_numpy()) for name in ("mean", "low", "high", "guide"))
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, y, color=colour)
        axes.plot(x, guide, color=colour, linestyle=DASHED, linewidth=1.1)
        ends += leaving(axes, x, y, short(gamma), colour)
    law = saturation.law_of(frames, variant.label)
    t = np.geomspace(1, max(last, 2.0), 100)
    if law and (table["gamma"] == 1).any() and (line := saturation.closed_form(t, law)) is not None:
        axes.plot(t, _log10(line), color=INK, linestyle=":", linewidth=1.5)
        handles.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.5, label=_formula(law)))
    label_ends(axes, ends)
    decades(axes)
    axes.set_ylabel("mean of 1 − tanh²(c$_t$)")
    key_above(axes, handles)
    name_of_labels(axes)


def _log10(values: Floats) -> Floats:
    """Decades, far below any window where a mean is zero; null stays null."""
    values = np.asarray(values, np.float64)
    return np.where(np.isnan(values), np.nan, np.log10(np.maximum(np.nan_to_num(values), 1e-300)))


def _formula(law: saturation.Law) -> str:
    one = saturation.closed_form(np.ones(1), law)
    assert one is not None
    return f"{number(float(one[0]), 3)}/t, γ = 1" if law.biased else f"{number(float(one[0]), 3)}/√t, γ = 1"


def _others(frames: Frames, others: list[Variant], table: pd.DataFrame, title: str) -> Panel:
    chosen = {v.label: headline_gamma(v, table.loc[table["variant"] == v.label, "gamma"]) for v in others}
    ends = []
    for label, gamma in chosen.items():
        part = table[(table["variant"] == label) & (table["gamma"] == gamma)]
        ends.append(f"{label} (γ = {short(gamma)}) {number(part['mean'].iloc[-1])}")
    alt = f"Mean slope of the squashing function at the last step: {listing(ends)}."
    return Panel(
        title,
        alt,
        lambda axes: _draw_others(axes, frames, chosen, table),
        tall([f"{v}, γ = 0.99" for v in chosen]),
    )


def _draw_others(axes: Axes, frames: Frames, chosen: dict[str, float], table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    styles, handles = variant_styles(frames), []
    steps_axis(axes, float(table["step"].max()))
    for label, gamma in chosen.items():
        part, look = table[(table["variant"] == label) & (table["gamma"] == gamma)], styles[label]
        axes.fill_between(
            part["step"], part["low"], part["high"], color=look["color"], alpha=0.2, linewidth=0
        )
        axes.plot(part["step"], part["mean"], color=look["color"], linewidth=1.2)
        handles.append(Line2D([], [], color=look["color"], label=f"{label}, γ = {short(gamma)}"))
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("mean of f'")
    key_above(axes, handles)


def _saturated(frames: Frames) -> list[Panel]:
    """Fractions of saturated units, where they were measured: each variant at its headline γ."""
    table = saturated.table(frames)
    table = table[table["step"].isin(saturation.table(frames)["step"])]
    labels = [v for v in present(table) if frames.variants[v].cell != "linear"][:OTHERS]
    chosen = {
        label: headline_gamma(frames.variants[label], table.loc[table["variant"] == label, "gamma"])
        for label in labels
    }
    said = []
    for label, gamma in chosen.items():
        last = table[(table["variant"] == label) & (table["gamma"] == gamma)].iloc[-1]
        said.append(f"{label} (γ = {short(gamma)}) {number(last['below_05'])} and {number(last['below_25'])}")
    alt = f"Fractions of units below 0.05 and 0.25 of the largest slope at the last step: {listing(said)}."
    size = tall([*(f"{v}, γ = 0.99" for v in chosen), "", ""])
    return [
        Panel("saturated units", alt, lambda axes: _draw_saturated(axes, frames, chosen, table), size)
    ] * bool(said)


def _draw_saturated(axes: Axes, frames: Frames, chosen: dict[str, float], table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    styles, handles = variant_styles(frames), []
    steps_axis(axes, float(table["step"].max()))
    for label, gamma in chosen.items():
        part = table[(table["variant"] == label) & (table["gamma"] == gamma)]
        colour = styles[label]["color"]
        for name, line in zip(saturated.LIMITS, _LINES, strict=True):
            axes.fill_between(
                part["step"], part[f"{name}_low"], part[f"{name}_high"], color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(part["step"], part[name], color=colour, **line)
        handles.append(Line2D([], [], color=colour, label=f"{label}, γ = {short(gamma)}"))
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("fraction of units")
    handles += [
        Line2D([], [], color=INK, **line, label=f"f' < {limit} γ$_f$")
        for limit, line in zip(saturated.LIMITS.values(), _LINES, strict=True)
    ]
    key_above(axes, handles)


def _caption(frames: Frames) -> str:
    table = saturation.table(frames)
    laws = [law for v in frames.variants if (law := saturation.law_of(frames, v)) is not None]
    guide = " Dashed: what it is for Gaussian sums of the steps, W ~ N(0, 1/M)." if laws else ""
    closed = [law for law in laws if saturation.closed_form(np.ones(1), law) is not None]
    if closed and (table["gamma"] == 1).any():
        guide += f" Dotted, at γ = 1: {listing(list(dict.fromkeys(_derived(law) for law in closed)))}."
    if len(closed) < len(laws):
        guide += " With a single input there is no closed form, as its weight may be near zero."
    return (
        f"Mean of f' over units, batch columns and {over_seeds(table['n'])} (arithmetic, as the guide is "
        "an expectation); "
        "band: 95 % interval over seeds. For the memory cell and the LSTMs f' = 1 − tanh²(c), which "
        "closes the way out of "
        f"the cell; for the others f' of the new state.{guide}{_below(frames)}"
    )


def _below(frames: Frames) -> str:
    """What the panel of saturated units shows, where there is one."""
    if not len(saturated.table(frames)):
        return ""
    dead = longest(saturated.dead(frames))
    none = " No ReLU unit is dead: none has f' = 0 at every step and batch column."
    return (
        " Saturated units: the fraction of units and columns whose f' is below 0.05 or 0.25 of the "
        "largest that it can be, mean over the seeds that are ok, with its 95 % interval."
        + none
        * (len(dead) > 0 and not (dead["dead"] > 0).any())
    )


def _tables(frames: Frames) -> list[Table]:
    """The dead units of ReLU, where there is one."""
    rows = longest(saturated.dead(frames))
    note = "A unit is dead where f' = 0 at every step and batch column. Mean over seeds, 95 % interval."
    rows = rows[rows["dead"] > 0]
    return (
        [listed("Dead ReLU units, where there are any", saturated.dead_shown(rows), note)]
        if len(rows)
        else []
    )


def _derived(law: saturation.Law) -> str:
    """Where the closed form comes from, in a phrase."""
    if law.biased:
        return f"2/(√(2π)·m·t), as steps of mean m = {number(law.mean, 3)} make the state drift"
    return (
        f"√(2/(πt))·κ/s with s² = {number(law.sd**2, 4)} the variance of a step's input and "
        f"κ = {number(saturation.kappa(law.inputs), 4)} for the spread of W over M = {law.inputs} inputs"
    )


SATURATION = Figure(
    "saturation",
    "What the read-out lets through",
    "Does the squashing function close as the sequence goes on?",
    _missing,
    _panels,
    _caption,
    tables=_tables,
)
