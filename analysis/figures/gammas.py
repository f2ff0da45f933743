"""Nominal against realised γ with the line on which they are equal; beside it path and Lyapunov γ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import decay
from ..load import Frames, longest
from ..text import exact, fixed, listing
from ..variants import present
from .axes import gate_axis, key_above
from .base import (
    DASHED,
    INK,
    Figure,
    Panel,
    at_length,
    columns_of,
    families,
    not_drawn,
    over_seeds,
    tall,
    thinned,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "gamma_path": ("path", {"marker": "^", "markersize": 6.5, "linestyle": ":"}),
    "gamma_lyapunov": ("Lyapunov", {"marker": "D", "markersize": 7.5, "linestyle": ""}),
}
"""What a variant's own panel shows beside its realised γ, and how: open marks in the variant's colour."""
ALONE = 8
"""So many variants have a panel of their own."""


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
    panels = [_panel(frames, title, labels, rows) for title, labels in families(frames, rows)]
    beside = _beside(rows)
    labels = present(rows)[:ALONE] if beside else []
    return panels + [_alone(frames, label, rows[rows["variant"] == label], beside) for label in labels]


def _beside(rows: pd.DataFrame) -> list[str]:
    """Which of path and Lyapunov γ were measured."""
    return [name for name in BESIDE if name in rows and bool(rows[name].notna().any())]


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
    handles.append(_finish(axes, rows, gated))
    axes.set_ylabel("realised γ (measured, a lag)")
    key_above(axes, handles)


def _finish(axes: Axes, rows: pd.DataFrame, gated: bool) -> Any:
    """The line on which both are equal, that of one, and the axis of nominal γ; returns the line for the key."""
    from matplotlib.lines import Line2D

    low, high = rows["gamma_nominal"].min(), rows["gamma_nominal"].max()
    if low == high and not gated:  # a line through one point has to be longer than it
        low, high = 0.97 * low, 1.03 * high
    nominal = 1 - np.geomspace(1 - low, max(1 - high, 1e-9), 200) if gated else np.array([low, high])
    axes.plot(
        1 - nominal if gated else nominal, nominal, color=INK, linewidth=1.1, linestyle=DASHED, zorder=1
    )
    axes.axhline(1, color=INK, linewidth=0.6, zorder=1)
    if gated:
        gate_axis(axes, sorted(rows["gamma_nominal"].unique()))
    axes.set_xlabel("nominal " + (axes.get_xlabel() if gated else "γ (from the parameters alone)"))
    return Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="equal (1:1)")


def _alone(frames: Frames, label: str, rows: pd.DataFrame, beside: list[str]) -> Panel:
    """All γ of one variant."""
    rows = rows.sort_values("gamma_nominal")
    last = rows.iloc[-1]
    spoken = [f"{BESIDE[name][0]} {fixed(last[name], 3)}" for name in beside]
    alt = (
        f"γ of {label} against its nominal γ: at nominal {exact(round(last['gamma_nominal'], 4))} "
        f"{listing([*spoken, 'realised ' + fixed(last['gamma_realised'], 3)])}."
    )
    gated = frames.variants[label].gated
    colour = variant_styles(frames)[label]["color"]
    labels = ["realised", *(BESIDE[name][0] for name in beside)]
    return Panel(label, alt, lambda axes: _draw_alone(axes, rows, beside, gated, colour), tall(labels))


def _draw_alone(axes: Axes, rows: pd.DataFrame, beside: list[str], gated: bool, colour: str) -> None:
    from matplotlib.lines import Line2D

    x = rows["gamma_nominal"].to_numpy()
    x = 1 - x if gated else x
    looks: dict[str, tuple[str, dict[str, Any]]] = {
        "gamma_realised": ("realised", {"marker": "o", "linestyle": "-", "zorder": 3}),
        **{name: (BESIDE[name][0], {**BESIDE[name][1], "markerfacecolor": "none"}) for name in beside},
    }
    handles = []
    for name, (word, look) in looks.items():
        y, low, high = (rows[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
        error = np.maximum(np.nan_to_num([y - low, high - y]), 0)
        axes.errorbar(x, y, error, color=colour, **look, linewidth=1, elinewidth=1.4)
        shown = {k: v for k, v in look.items() if k != "zorder"}
        handles.append(Line2D([], [], color=colour, **shown, linewidth=1, label=word))
    handles.append(_finish(axes, rows, gated))
    axes.set_ylabel("γ (measured, a lag)")
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
        f"LSTM of 1997 may lie above it.{_words(rows)}"
    )


def _words(rows: pd.DataFrame) -> str:
    """What the panels of single variants show besides."""
    words = {
        "gamma_path": "path γ is the geometric mean over steps of the largest singular value of "
        "each step's Jacobian, what the error would keep if it met the best direction at every step",
        "gamma_lyapunov": "Lyapunov γ is exp λ_1, the growth of the direction that lasts",
    }
    said = [words[name] for name in _beside(rows)]
    if not said:
        return ""
    variants = rows["variant"].nunique()
    first = f" One variant a panel: {'; '.join(said)}; both averaged like the realised one over seeds."
    if len(said) == 1:
        first = first.replace("both averaged", "averaged")
    return first + not_drawn(variants, min(variants, ALONE))


GAMMAS = Figure(
    "gammas",
    "Nominal and realised γ",
    "How much of the factor per step that the parameters promise is there in the gradient?",
    _missing,
    _panels,
    _caption,
)
