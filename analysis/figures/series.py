"""What the figures of single probes share: curves of one variant by γ, measures of several variants against γ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..load import Frames
from ..text import short
from .axes import End, Floats, gate_axis, key_above, label_ends, leaving, name_of_labels
from .base import gamma_colours, variant_styles

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def same(values: Floats) -> Floats:
    """As they are: what is drawn is on a linear scale."""
    return values


def decades_of(values: Floats) -> Floats:
    """Natural logarithms in decades."""
    return values / np.log(10.0)


def by_gamma(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    every: list[float],
    *,
    interval: tuple[str, str] = ("low", "high"),
    **look: Any,
) -> list[End]:
    """Curves of one variant with their intervals over seeds, coloured by γ; the places of their names."""
    ends: list[End] = []
    for gamma, colour in gamma_colours(table["gamma"].unique(), every).items():
        part = table[table["gamma"] == gamma]
        at, value, low, high = (part[name].to_numpy(np.float64) for name in (x, y, *interval))
        axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(at, value, color=colour, **look)
        ends += leaving(axes, at, value, short(gamma), colour)
    return ends


def name_gammas(axes: Axes, ends: list[End], handles: list[Any]) -> None:
    """The γ at the ends of the curves, in their order where they nearly meet, and the key over the axes."""
    low, high = axes.get_ylim()
    step = (high - low) / 20
    label_ends(
        axes, [replace(end, y=round(end.y / step) * step) if end.side == "right" else end for end in ends]
    )
    key_above(axes, handles)
    name_of_labels(axes)


def against_gamma(
    axes: Axes,
    frames: Frames,
    rows: pd.DataFrame,
    labels: list[str],
    columns: tuple[str, str, str],
    scale: Callable[[Floats], Floats] = same,
) -> list[Any]:
    """A measure of several variants against γ with bars of its interval, gates on their own scale; the handles of
    the key. ``columns``: the mean and the ends of its interval."""
    from matplotlib.lines import Line2D

    styles, handles = variant_styles(frames), []
    gated = frames.variants[labels[0]].gated
    for label in labels:
        part, look = rows[rows["variant"] == label].sort_values("gamma"), styles[label]
        gamma = part["gamma"].to_numpy(np.float64)
        y, low, high = (scale(part[name].to_numpy(np.float64)) for name in columns)
        error = np.maximum(np.nan_to_num([y - low, high - y]), 0)
        axes.errorbar(1 - gamma if gated else gamma, y, error, **look, linewidth=1.2, elinewidth=1.4)
        handles.append(Line2D([], [], **look, linewidth=1.2, label=label))
    if gated:
        gate_axis(axes, sorted(rows.loc[rows["variant"].isin(labels), "gamma"].unique()))
    else:
        axes.set_xlabel("γ")
    return handles
