"""What several figures do to axes: ticks in decades, gates on their own scale, names at the ends of curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .base import INK, PAPER, key_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power(exponent: int) -> str:
    """10⁻⁸, and 1 for 10⁰, as plain text: mathematical typesetting takes ten times as long to draw."""
    return "1" if exponent == 0 else "10" + str(exponent).translate(_RAISED)


def decades(axes: Axes) -> None:
    """Tick labels 10ⁿ on a y axis that counts decades: nothing is out of range at 10^−4000."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: power(round(v))))


def lag_axis(axes: Axes, last: float) -> None:
    """An x axis of lags, from zero to the last one, in whole steps."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, max(last, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.set_xlabel("lag ℓ (steps)")


def steps_axis(axes: Axes, last: float, name: str = "step t") -> None:
    """A logarithmic x axis of steps (or lags) from 1, labelled 1, 10, 100; more of them where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xlim(1, max(last, 2.0))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if last > 30 else (1.0, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)


_GATES = (0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999)


def gate_axis(axes: Axes, gammas: list[float]) -> None:
    """A gate's γ on the logarithm of 1 − γ, so that 0.9, 0.99 and 0.999 stand equally far apart."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xlim(2 * (1 - gammas[0]), (1 - gammas[-1]) / 2)
    axes.set_xscale("log")
    ticks = _apart([g for g in _GATES if gammas[0] <= g <= gammas[-1]] or gammas, axes.get_xlim())
    axes.xaxis.set_major_locator(FixedLocator([1 - g for g in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{g:g}" for g in ticks])
    axes.set_xlabel("γ (on the scale of ln(1 − γ))")


def _apart(gammas: list[float], limits: tuple[float, float]) -> list[float]:
    """The ticks that leave room for their labels, from the largest γ down."""
    gap = 0.06 * abs(np.log(limits[0] / limits[1]))
    kept: list[float] = []
    for gamma in reversed(gammas):
        if not kept or abs(np.log((1 - gamma) / (1 - kept[-1]))) >= gap:
            kept.append(gamma)
    return kept[::-1]


def plain_numbers(axes: Axes) -> None:
    """10 and 100 rather than powers on a logarithmic y axis of steps; more of them where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    subs = (1.0, 3.0) if high > 12 * low else (1.0, 2.0, 3.0, 5.0, 7.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.12g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True)
class End:
    """Where a curve leaves its axes, and what to write there. ``side``: right, floor or ceiling."""

    x: float
    y: float
    text: str
    colour: str
    side: str


def leaving(axes: Axes, x: Floats, y: Floats, text: str, colour: str) -> list[End]:
    """Where a curve leaves the window: at its right-hand end, or first through the floor or the ceiling."""
    low, high = axes.get_ylim()
    seen = np.isfinite(x) & ~np.isnan(y)
    x, y = x[seen], np.clip(y[seen], -1e9, 1e9)
    if not len(y):
        return []
    outside = np.flatnonzero((y < low) | (y > high))
    if not len(outside) or outside[0] == 0:
        return [End(float(x[-1]), float(y[-1]), text, colour, "right")]
    i = outside[0]
    edge, side = (low, "floor") if y[i] < low else (high, "ceiling")
    share = (edge - y[i - 1]) / (y[i] - y[i - 1])
    return [End(float(x[i - 1] + share * (x[i] - x[i - 1])), edge, text, colour, side)]


def label_ends(axes: Axes, ends: list[End]) -> None:
    """Write each curve's name where it leaves the axes, in its colour, moved apart where they would collide."""
    from matplotlib.patheffects import withStroke

    to_axes = axes.transData + axes.transAxes.inverted()
    places = [to_axes.transform((end.x, end.y)) for end in ends]
    common: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "fontsize": 9,
        "zorder": 5,
    }
    common["path_effects"] = [withStroke(linewidth=2.5, foreground=PAPER)]
    right = [(end, y) for end, (_, y) in zip(ends, places, strict=True) if end.side == "right"]
    for (end, _), y in zip(right, spread([y for _, y in right], 0.075, 0.03, 0.97), strict=True):
        axes.annotate(end.text, (1, y), (5, 0), color=end.colour, va="center", **common)
    for side, edge, shift, va in (("floor", 0, 3, "bottom"), ("ceiling", 1, -3, "top")):
        through = [(end, x) for end, (x, _) in zip(ends, places, strict=True) if end.side == side]
        for (end, _), x in zip(through, spread([x for _, x in through], 0.085, 0.0, 0.93), strict=True):
            axes.annotate(end.text, (x, edge), (5, shift), color=end.colour, va=va, **common)


def name_of_labels(axes: Axes, text: str = "γ") -> None:
    """What the names at the right-hand ends are values of."""
    axes.annotate(text, (1, 1), (9, 3), xycoords="axes fraction", textcoords="offset points", color=INK)


def key_above(axes: Axes, handles: list[Any]) -> None:
    """A legend between title and axes, where it covers no data; in as many columns as its words leave room for."""
    columns, rows = key_shape([handle.get_label() for handle in handles])
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        borderaxespad=0.1,
        borderpad=0.2,
        handlelength=2.2,
        columnspacing=1.4,
        labelspacing=0.3,
    )
    axes.set_title(axes.get_title(loc="left"), pad=6 + 12.5 * rows)


def spread(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved apart to at least ``gap`` and kept between low and high, in their order."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [min(max(positions[i], low), high) for i in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if placed and placed[-1] > high:
        placed[-1] = high
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - gap)
    result = [0.0] * len(positions)
    for i, value in zip(order, placed, strict=True):
        result[i] = value
    return result
