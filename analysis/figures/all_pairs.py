"""Error terms of a loss at every step: by lag with their spread over t, and the map of every t and k."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import pairs
from ..load import DRAWN_VARIANTS, Frames
from ..text import fixed, power_of_ten, short
from ..variants import Variant, headline_gamma, present
from .axes import decades, key_above, lag_axis, power
from .base import DASHED, INK, MUTED, PALETTE, PANEL, Figure, Panel, over_seeds
from .phase_map import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LN10 = np.log(10.0)
NODES = (-30.0, -10.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Decades at which the map has the colours of ``COLOURS``; between them they are mixed."""
MOST_CELLS, TALL = 256, 4.1
_FLOOR, _CEILING = -30.0, 12.0


def _missing(frames: Frames) -> str | None:
    there = len(frames.long("pairs")) or len(pairs.maps(frames))
    return None if there else "All pairs were not measured in this study."


def _panels(frames: Frames) -> list[Panel]:
    rows, maps = _rows(frames), pairs.maps(frames)
    panels = []
    for label, variant in frames.variants.items():
        part = rows[rows["variant"] == label]
        panels += [_by_lag(variant, part)] if len(part) else []
        panels += [_map(variant, maps[label])] if label in maps else []
    return panels[: 2 * DRAWN_VARIANTS]


def _rows(frames: Frames) -> pd.DataFrame:
    """The table at the headline γ of each variant."""
    table = pairs.table(frames)
    chosen = {
        label: headline_gamma(frames.variants[label], table.loc[table["variant"] == label, "gamma"])
        for label in present(table)
    }
    return table[table["gamma"] == table["variant"].astype(object).map(chosen).astype("float64")]


# -- by lag ------------------------------------------------------------------------------------------------


def _by_lag(variant: Variant, table: pd.DataFrame) -> Panel:
    gamma, middle = float(table["gamma"].iloc[0]), table.iloc[len(table) // 2]
    alt = (
        f"Error terms of the {variant.noun} by lag, over all t, at γ = {short(gamma)}: at lag "
        f"{int(middle['lag']):,} the mean is {power_of_ten(middle['mean'])} and the spread over t "
        f"{fixed(middle['spread'] / _LN10, 2)} decades."
    )
    return Panel(
        f"{variant.label}, γ = {short(gamma)}", alt, lambda axes: _draw_lags(axes, table), (PANEL[0], TALL)
    )


def _draw_lags(axes: Axes, table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colour = PALETTE[0]
    lag = table["lag"].to_numpy(np.float64)
    mean, spread, low, high, own = (
        table[name].to_numpy(np.float64) / _LN10 for name in ("mean", "spread", "q05", "q95", "own")
    )
    axes.fill_between(lag, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.fill_between(lag, mean - spread, mean + spread, color=colour, alpha=0.3, linewidth=0)
    axes.plot(lag, mean, color=colour)
    axes.plot(lag, own, color=INK, linestyle=DASHED, linewidth=1.1)
    lag_axis(axes, float(lag.max()))
    axes.set_ylim(*_window(np.concatenate([low, high, own, mean])))
    decades(axes)
    axes.set_ylabel("‖δ$_{t,t-ℓ}$‖ / ‖δ$_{t,t}$‖")
    handles = [
        Line2D([], [], color=colour, label="all t"),
        Patch(color=colour, alpha=0.4, linewidth=0, label="± spread"),
        Patch(color=colour, alpha=0.16, linewidth=0, label="5 to 95 %"),
    ]
    if np.isfinite(own).any():
        handles.append(Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="own curve"))
    key_above(axes, handles)


def _window(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    return max(_FLOOR, min(low * 1.05, -1.0)), min(_CEILING, max(high * 1.1, 1.0))


# -- the map -----------------------------------------------------------------------------------------------


def _map(variant: Variant, one: pairs.Map) -> Panel:
    known = one.values[np.isfinite(one.values)] / _LN10
    spoken = f"from {fixed(known.min(), 1)} to {fixed(known.max(), 1)} decades" if len(known) else "no value"
    alt = (
        f"Map of the error terms of the {variant.noun} at γ = {short(one.gamma)} for every t and k: {spoken}."
    )
    title = f"{variant.label}, γ = {short(one.gamma)}: every t and k"
    return Panel(title, alt, lambda axes: _draw_map(axes, one.values / _LN10), (PANEL[0], TALL), right=0.85)


def _draw_map(axes: Axes, values: NDArray[np.float64]) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    T = len(values)
    some = np.unique(np.linspace(0, T - 1, min(T, MOST_CELLS)).round().astype(int))
    place = np.interp(values[np.ix_(some, some)], NODES, np.arange(len(NODES)))
    colours = LinearSegmentedColormap.from_list("decades", COLOURS, N=1024)
    axes.imshow(
        np.ma.masked_invalid(place),
        cmap=colours,
        vmin=0,
        vmax=len(NODES) - 1,
        extent=(0.5, T + 0.5, T + 0.5, 0.5),
        aspect="auto",
        interpolation="none",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_xlabel("step k at which the error arrives")
    axes.set_ylabel("step t of the loss")
    axes.grid(False)
    axes.text(
        0.97,
        0.95,
        "a lag is parallel to the edge",
        transform=axes.transAxes,
        ha="right",
        va="top",
        color=MUTED,
    )
    _bar(axes, values[np.isfinite(values)], colours)


def _bar(axes: Axes, values: NDArray[np.float64], colours: object) -> None:
    """The bar of colours beside the map, cut to the part that the map has."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    first = max(int(np.searchsorted(NODES, min(low, -0.3), side="right")) - 1, 0)
    last = min(int(np.searchsorted(NODES, max(high, 0.3))), len(NODES) - 1)
    bar = axes.inset_axes((1.04, 0.0, 0.05, 1.0))
    shades = np.linspace(first, last, 256)[:, None]
    bar.imshow(
        shades,
        cmap=colours,  # type: ignore[arg-type]
        vmin=0,
        vmax=len(NODES) - 1,
        extent=(0, 1, first, last),
        origin="lower",
        aspect="auto",
    )
    bar.set_yticks(range(first, last + 1), [_factor(NODES[i]) for i in range(first, last + 1)])
    bar.yaxis.tick_right()
    bar.set_xticks([])
    bar.grid(False)


def _factor(decades: float) -> str:
    """10⁻³, 1/2, 1, 2, 10³."""
    return {-0.3: "1/2", 0.3: "2"}.get(decades) or power(int(decades))


def _caption(frames: Frames) -> str:
    rows, texts = _rows(frames), []
    if len(rows):
        own = " Dashed: the point's own curve, of its own loss times." if rows["own"].notna().any() else ""
        texts.append(
            "By lag: error terms δ of a loss at every step t, relative to lag 0. Line: mean of logarithms over t, "
            f"batch columns and {over_seeds(rows['n'])}; dark band: ± the standard deviation over t of the mean "
            "over columns; light band: 5 to 95 % over t and columns; both are means over the seeds of each seed's "
            f"own, and no intervals over seeds. The larger the lag, the fewer t have one.{own}"
        )
    maps = pairs.maps(frames)
    if maps:
        T = max(len(one.values) for one in maps.values())
        thin = f" Where T > {MOST_CELLS}, {MOST_CELLS} steps are drawn of each." if T > MOST_CELLS else ""
        texts.append(
            "Map: the mean over columns and seeds for every t and k; a row is one loss, what is parallel to the "
            "diagonal is one lag. Blue has vanished, red exploded, white is as it was; colours are further apart "
            f"near one. Blank: k > t, or no column alive.{thin}"
        )
    if pairs.too_many(frames):
        texts.append(
            "The maps of every t and k are too large to be drawn: read them as curves of kind pair_map."
        )
    return " ".join(texts)


ALL_PAIRS = Figure(
    "all_pairs",
    "A loss at every step",
    "Is the error's way back the same whenever the loss is, or does one curve not speak for all?",
    _missing,
    _panels,
    _caption,
    optional=True,
)
