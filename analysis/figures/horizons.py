"""How many steps back one hundredth of the error reaches, against γ; censored horizons as open triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import horizon
from ..load import Frames, longest
from ..text import listing, short
from .axes import gate_axis, key_above, plain_numbers
from .base import (
    DASHED,
    INK,
    MUTED,
    Figure,
    Panel,
    at_length,
    columns_of,
    families,
    over_seeds,
    tall,
    thinned,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL, SMALLEST = "horizon_1", 0.1


def _missing(frames: Frames) -> str | None:
    return (
        None
        if len(_rows(frames))
        else "No horizons were measured in this study, or no sequence has more than one step."
    )


def _rows(frames: Frames) -> pd.DataFrame:
    table = horizon.table(frames)
    rows = table[(table["level"] == LEVEL) & (table["limit"] >= 1)]
    return thinned(longest(rows)) if len(rows) else rows


def _panels(frames: Frames) -> list[Panel]:
    rows = _rows(frames)
    return [_panel(frames, title, labels, rows) for title, labels in families(frames, rows)]


def _panel(frames: Frames, title: str, labels: list[str], rows: pd.DataFrame) -> Panel:
    own = rows[rows["variant"].isin(labels)]
    gated = frames.variants[labels[0]].gamma_is == "a gate"
    reach = []
    for label in labels:
        part = own[own["variant"] == label]
        best = part.iloc[int(part["centre"].to_numpy().argmax())]
        reach.append(f"{label} {horizon.text(best.to_dict())} at γ = {short(best['gamma'])}")
    alt = f"Lag at which 1 % of the error is left, against γ. Farthest reach: {listing(reach)}."
    return Panel(title, alt, lambda axes: _draw(axes, frames, labels, own, gated), tall(labels), right=0.62)


def _draw(axes: Axes, frames: Frames, labels: list[str], rows: pd.DataFrame, gated: bool) -> None:
    from matplotlib.lines import Line2D

    styles = variant_styles(frames)
    axes.set_yscale("log")
    handles = []
    for place, label in enumerate(labels):
        part, look = rows[rows["variant"] == label].sort_values("gamma"), styles[label]
        _curve(axes, part, gated, look, place)
        handles.append(Line2D([], [], **look, label=label))
    limit = float(rows["limit"].max())
    axes.axhline(limit, color=MUTED, linewidth=0.8)
    beyond = f"> {limit:,.0f}"
    axes.annotate(
        beyond, (1, limit), (4, 2), axes.get_yaxis_transform(), "offset points", color=MUTED, fontsize=9
    )
    _bound(axes, rows, gated, limit)
    handles.append(Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="γ$^ℓ$ alone"))
    axes.set_ylabel("lag at which 1 % is left (steps)")
    plain_numbers(axes)
    if gated:
        gate_axis(axes, sorted(rows["gamma"].unique()))
    else:
        axes.set_xlabel("γ")
    key_above(axes, handles)


def _curve(axes: Axes, part: pd.DataFrame, gated: bool, look: dict[str, Any], place: int) -> None:
    """One variant: its horizons with their intervals, and above the line the censored ones, each variant's at a
    height of its own, or their marks would hide each other."""
    colour = look["color"]
    x = (1 - part["gamma"] if gated else part["gamma"]).to_numpy()
    centre, low, high, limit = (
        np.maximum(part[name].to_numpy(dtype="float64"), SMALLEST)
        for name in ("centre", "low", "high", "limit")
    )
    censored = np.isinf(centre)
    y = np.where(censored, limit * 1.15 * 1.1**place, centre)
    seen, low, high = (np.where(censored, np.nan, v) for v in (y, low, np.minimum(high, limit)))
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, seen, color=colour, marker=look["marker"])
    axes.plot(x, y, color=colour, linewidth=0.8, linestyle=(0, (1, 1.5)))
    mark: dict[str, Any] = {"linestyle": "", "marker": "^", "markersize": 7, "markerfacecolor": "none"}
    axes.plot(x[censored], y[censored], color=colour, **mark)


def _bound(axes: Axes, rows: pd.DataFrame, gated: bool, limit: float) -> None:
    low, high = rows["gamma"].min(), min(rows["gamma"].max(), 1 - 1e-6)
    if not low < high:
        return
    gamma = 1 - np.geomspace(1 - low, max(1 - high, 1e-6), 200)
    with np.errstate(divide="ignore"):
        y = np.log(0.01) / np.log(gamma)
    keep = y <= limit
    axes.plot(
        (1 - gamma if gated else gamma)[keep],
        y[keep],
        color=INK,
        linestyle=DASHED,
        linewidth=1.1,
        zorder=1,
    )


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    return (
        f"First lag at which the adjoint curve is below 1 %, at {at_length(rows)}: geometric mean over "
        f"{over_seeds(rows['n'])}, each seed read off a mean over {columns_of(frames)}; band: 95 % "
        "interval over seeds. Open "
        "triangles are censored: the curve never falls so far, so the horizon is beyond the line by an "
        "unknown amount "
        "(their heights differ only so that they can be told apart). Dashed: where γ^ℓ itself falls to 1 %."
    )


HORIZONS = Figure(
    "horizons",
    "How far back the gradient reaches",
    "After how many steps is one hundredth of the error left?",
    _missing,
    _panels,
    _caption,
)
