"""Nominal against realised γ with the line on which they are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import decay
from ..load import Frames, longest
from ..text import exact, fixed, listing
from .axes import gate_axis, key_above
from .base import (
    DASHED,
    INK,
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


def _missing(frames: Frames) -> str | None:
    if not frames.has("gamma_realised", "gamma_nominal") or not len(_rows(frames)):
        return "No realised γ was measured in this study: that takes curves of at least five lags."
    return None


def _rows(frames: Frames) -> pd.DataFrame:
    table = decay.table(frames)
    rows = table[np.isfinite(table["gamma_realised"]) & np.isfinite(table["gamma_nominal"])]
    return thinned(longest(rows)) if len(rows) else rows


def _panels(frames: Frames) -> list[Panel]:
    rows = _rows(frames)
    return [_panel(frames, title, labels, rows) for title, labels in families(frames, rows)]


def _panel(frames: Frames, title: str, labels: list[str], rows: pd.DataFrame) -> Panel:
    own = rows[rows["variant"].isin(labels)]
    spoken = []
    for label in labels:
        part = own[own["variant"] == label].sort_values("gamma_nominal")
        first, last = part.iloc[0], part.iloc[-1]
        spoken.append(
            f"{label} from {exact(round(first['gamma_nominal'], 4))} → {fixed(first['gamma_realised'], 3)} "
            f"to {exact(round(last['gamma_nominal'], 4))} → {fixed(last['gamma_realised'], 3)}"
        )
    alt = f"Nominal against realised γ: {listing(spoken)}."
    gated = frames.variants[labels[0]].gamma_is == "a gate"
    return Panel(title, alt, lambda axes: _draw(axes, frames, labels, own, gated), tall(labels))


def _draw(axes: Axes, frames: Frames, labels: list[str], rows: pd.DataFrame, gated: bool) -> None:
    from matplotlib.lines import Line2D

    styles = variant_styles(frames)
    handles = []
    for label in labels:
        part, look = rows[rows["variant"] == label].sort_values("gamma_nominal"), styles[label]
        nominal, y = part["gamma_nominal"].to_numpy(), part["gamma_realised"].to_numpy()
        x = 1 - nominal if gated else nominal
        low, high = part["gamma_realised_low"].to_numpy(), part["gamma_realised_high"].to_numpy()
        axes.errorbar(
            x, y, np.maximum(np.nan_to_num([y - low, high - y]), 0), **look, linewidth=1, elinewidth=1.4
        )
        handles.append(Line2D([], [], **look, linewidth=1, label=label))
    low, high = rows["gamma_nominal"].min(), rows["gamma_nominal"].max()
    nominal = 1 - np.geomspace(1 - low, max(1 - high, 1e-9), 200) if gated else np.array([low, high])
    axes.plot(
        1 - nominal if gated else nominal, nominal, color=INK, linewidth=1.1, linestyle=DASHED, zorder=1
    )
    axes.axhline(1, color=INK, linewidth=0.6, zorder=1)
    handles.append(Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="equal (1:1)"))
    if gated:
        gate_axis(axes, sorted(rows["gamma_nominal"].unique()))
    axes.set_xlabel("nominal " + (axes.get_xlabel() if gated else "γ (from the parameters alone)"))
    axes.set_ylabel("realised γ (measured, a lag)")
    key_above(axes, handles)


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    return (
        "Nominal γ is what the parameters promise (norm times largest slope, loop weight, or gate at "
        "zero net input); "
        "realised γ is the factor per lag of the measured adjoint, its first lags left out. Geometric "
        "mean over "
        f"{over_seeds(rows['n_gamma_realised'])} at {at_length(rows)}, each seed a mean over "
        f"{columns_of(frames)}; bars: "
        "95 % interval over seeds. Under the dashed line the gradient vanishes faster than γ^ℓ; only a "
        "gated cell or the "
        "LSTM of 1997 may lie above it."
    )


GAMMAS = Figure(
    "gammas",
    "Nominal and realised γ",
    "How much of the factor per step that the parameters promise is there in the gradient?",
    _missing,
    _panels,
    _caption,
)
