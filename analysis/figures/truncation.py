"""What truncated back-propagation loses, by window K: bias, cosine and share; and the window that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import truncation
from ..load import Frames, longest
from ..tables import Table, listed
from ..text import fixed, listing, short
from ..variants import headline_gamma, present
from .axes import gate_axis, key_above, plain_numbers, steps_axis
from .base import (
    DASHED,
    INK,
    MUTED,
    Figure,
    Panel,
    at_length,
    families,
    not_drawn,
    over_seeds,
    tall,
    thinned,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST, BANDS = 8, 4
"""So many variants are drawn, and up to so many have bands: more of them hide each other."""
NAMES = {
    "bias": ("bias", "‖g$_K$ − g‖ / ‖g‖", "relative bias"),
    "cosine": ("direction", "cosine of g$_K$ with g", "cosine with the whole gradient"),
    "share": ("share", "‖Σ$_{ℓ<K}$ G(ℓ)‖ / ‖∂L/∂U‖", "share of the gradient of the recurrent arrays"),
    "ratio": ("share", "‖g$_K$‖ / ‖g‖", "share of the gradient's norm"),
}
LEFT = 0.1
"""The bias from which on a window holds 90 %."""


def _missing(frames: Frames) -> str | None:
    return None if len(_chosen(frames)) else "Truncated gradients were not measured in this study."


def _chosen(frames: Frames) -> pd.DataFrame:
    """The curves of each variant at the γ nearest to its cell's default."""
    table = truncation.curves(frames)
    if table.empty:
        return table
    default = {
        label: headline_gamma(frames.variants[label], table.loc[table["variant"] == label, "gamma"])
        for label in present(table)
    }
    return table[table["gamma"] == table["variant"].astype(object).map(default)]


def _panels(frames: Frames) -> list[Panel]:
    table = _chosen(frames)
    labels = present(table)[:MOST]
    there = [name for name in NAMES if name in table and table[name].notna().any()]
    shown = [name for name in there if name != "ratio" or "share" not in there]
    panels = [_by_window(frames, name, labels, table) for name in shown]
    rows = _windows(frames)
    if len(rows):
        panels += [_by_gamma(frames, title, some, rows) for title, some in families(frames, rows)]
    return panels


# -- by window ---------------------------------------------------------------------------------------------


def _by_window(frames: Frames, name: str, labels: list[str], table: pd.DataFrame) -> Panel:
    title, axis, words = NAMES[name]
    spoken = []
    for label in labels:
        part = table[table["variant"] == label]
        middle = part.iloc[int((part["window"] - 10).abs().to_numpy().argmin())]
        spoken.append(f"{label} {fixed(middle[name], 2)} at K = {int(middle['window'])}")
    alt = f"By window K the {words}: {listing(spoken)}."
    named = [f"{label}, γ = 0.99" for label in labels]
    return Panel(title, alt, lambda axes: _draw(axes, frames, name, labels, table, axis), tall(named))


def _draw(axes: Axes, frames: Frames, name: str, labels: list[str], table: pd.DataFrame, axis: str) -> None:
    from matplotlib.lines import Line2D

    styles, windows = variant_styles(frames), truncation.table(frames)
    handles: list[Any] = []
    top = 1.0
    for label in labels:
        part, look = table[table["variant"] == label], styles[label]
        gamma, length = float(part["gamma"].iloc[0]), part["length"].iloc[0]
        y, low, high = (part[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
        if len(labels) <= BANDS:
            axes.fill_between(part["window"], low, high, color=look["color"], alpha=0.2, linewidth=0)
        marks = {"marker": look["marker"], "markevery": _doubling(part["window"])} if name != "bias" else {}
        axes.plot(part["window"], y, color=look["color"], linewidth=1.4, **marks)
        top = max(top, float(np.nanmax(y)))
        handles.append(Line2D([], [], **look, linewidth=1.4, label=f"{label}, γ = {short(gamma)}"))
        if name == "bias" and len(windows):
            own = windows[
                (windows["variant"] == label) & (windows["gamma"] == gamma) & (windows["length"] == length)
            ]
            _mark(axes, own, look)
    if name == "bias":
        axes.axhline(LEFT, color=INK, linestyle=DASHED, linewidth=1.1, zorder=1)
    else:
        axes.axhline(1, color=INK, linewidth=0.6, zorder=1)
    steps_axis(axes, float(table.loc[table["variant"].isin(labels), "window"].max()), "window K (steps)")
    low = min(0.0, float(np.nanmin(table.loc[table["variant"].isin(labels), name])))
    axes.set_ylim(1.05 * low, 1.05 * min(top, 3.0))
    axes.set_ylabel(axis)
    key_above(axes, handles)


def _doubling(windows: pd.Series) -> list[int]:
    """The places of K = 1, 2, 4, … and the last, where curves have their marks on a logarithmic axis."""
    K = windows.to_numpy()
    wanted = [2**j for j in range(int(K.max()).bit_length())]
    return sorted({int(np.abs(K - k).argmin()) for k in (*wanted, K.max())})


def _mark(axes: Axes, own: pd.DataFrame, look: dict[str, Any]) -> None:
    """The 90 % window with its interval, on the line at which 10 % is left."""
    if own.empty:
        return
    row = own.iloc[0]
    centre, low, high = (row[f"truncation_90{end}"] for end in ("", "_low", "_high"))
    error = np.maximum(np.nan_to_num([[centre - low], [high - centre]]), 0)
    axes.errorbar(
        [centre], [LEFT], xerr=error, **look, markersize=6.5, elinewidth=1.4, zorder=4, clip_on=False
    )


# -- by γ --------------------------------------------------------------------------------------------------


def _windows(frames: Frames) -> pd.DataFrame:
    table = truncation.table(frames)
    return thinned(longest(table)) if len(table) else table


def _by_gamma(frames: Frames, title: str, labels: list[str], rows: pd.DataFrame) -> Panel:
    own = rows[rows["variant"].isin(labels)]
    spoken = []
    for label in labels:
        part = own[own["variant"] == label]
        ends = [part.iloc[0].to_dict(), part.iloc[-1].to_dict()][: len(part)]
        said = [f"{truncation.window_text(r, 'truncation_90')} at γ = {short(r['gamma'])}" for r in ends]
        spoken.append(f"{label} {' and '.join(said)}")
    alt = f"Window that holds 90 % of the gradient, in steps, against γ: {'; '.join(spoken)}."
    gated = frames.variants[labels[0]].gated
    return Panel(
        f"90 % window, {title}", alt, lambda axes: _draw_gamma(axes, frames, labels, own, gated), tall(labels)
    )


def _draw_gamma(axes: Axes, frames: Frames, labels: list[str], rows: pd.DataFrame, gated: bool) -> None:
    from matplotlib.lines import Line2D

    styles, last = variant_styles(frames), float(rows["length"].max())
    axes.set_yscale("log")
    axes.set_ylim(0.8, 1.6 * last)
    for label in labels:
        part, look = rows[rows["variant"] == label].sort_values("gamma"), styles[label]
        x = 1 - part["gamma"] if gated else part["gamma"]
        y, low, high = (part[f"truncation_90{end}"].to_numpy() for end in ("", "_low", "_high"))
        error = np.maximum(np.nan_to_num([y - low, high - y]), 0)
        axes.errorbar(x, y, error, **look, linewidth=1.2, elinewidth=1.4)
    axes.axhline(last, color=MUTED, linewidth=0.8, zorder=1)
    axes.annotate(
        f"T = {last:,.0f}",
        (0, last),
        (4, 3),
        axes.get_yaxis_transform(),
        "offset points",
        color=MUTED,
        fontsize=9,
    )
    axes.set_ylabel("window that holds 90 % (steps)")
    plain_numbers(axes)
    if gated:
        gate_axis(axes, sorted(rows["gamma"].unique()))
    else:
        axes.set_xlabel("γ")
    key_above(axes, [Line2D([], [], **styles[label], linewidth=1.2, label=label) for label in labels])


def _caption(frames: Frames) -> str:
    table = _chosen(frames)
    labels = present(table)
    whole = "bias" in table and bool(table["bias"].notna().any())
    first = (
        "g_K is the gradient of back-propagation truncated to K steps, g the whole one, of all arrays but V and d"
        if whole
        else "Gradients of back-propagation truncated to K steps against the whole one"
    )
    recurrent = (
        "; G(ℓ), of the share, is what lag ℓ adds to the gradient of the recurrent arrays"
        if "share" in table
        else ""
    )
    band = "band: 95 % interval over seeds"
    if len(labels) > BANDS:
        band = (
            f"without bands, as {min(len(labels), MOST)} would hide each other: the intervals are in the CSV"
        )
    marked = (
        " Marks on the dashed line: the smallest window from which on the bias is at most 10 %, geometric "
        "mean over seeds with its 95 % interval; the last panels have it against γ."
        if len(_windows(frames))
        else ""
    )
    return (
        f"{first}{recurrent}; at {at_length(table)} and the γ nearest to each cell's own. Mean over "
        f"{over_seeds(table['n'])}, each seed's gradient summed over its batch columns; {band}."
        f"{marked} A share above 1 means that what is left out points the other way."
        f"{not_drawn(len(labels), min(len(labels), MOST))}"
    )


def _more(frames: Frames) -> list[Table]:
    return [listed("Windows in steps at every γ and length", truncation.shown(truncation.table(frames)))]


TRUNCATION = Figure(
    "truncation",
    "What truncation loses",
    "How many steps must back-propagation go back for nine tenths of the gradient?",
    _missing,
    _panels,
    _caption,
    optional=True,
    more=_more,
)
