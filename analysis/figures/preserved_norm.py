"""The factor by which the error term's norm changes in one step, by lag, around one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import preserved
from ..load import DRAWN_VARIANTS, Frames, longest
from ..tables import Table, listed
from ..text import listing, number, short
from ..variants import Variant, present
from .axes import lag_axis
from .base import INK, Figure, Panel, at_length, columns_of, over_seeds
from .series import by_gamma, name_gammas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HIGHEST = 4.0


def _missing(frames: Frames) -> str | None:
    return None if len(_rows(frames)) else "Preserved norms were not measured in this study."


def _rows(frames: Frames) -> pd.DataFrame:
    table = preserved.ratios(frames)
    return table[np.isfinite(table["ratio"])]


def _panels(frames: Frames) -> list[Panel]:
    table = _rows(frames)
    every = [float(g) for g in table["gamma"].unique()]
    return [
        _panel(frames.variants[label], table[table["variant"] == label], every)
        for label in present(table)[:DRAWN_VARIANTS]
    ]


def _panel(variant: Variant, table: pd.DataFrame, every: list[float]) -> Panel:
    means = table.groupby("gamma")["ratio"].mean()
    said = [f"{number(mean, 3)} at γ = {short(float(str(g)))}" for g, mean in means.items()]
    alt = f"One-step ratio of the error term's norm by lag, {variant.noun}; its mean over lags is {listing(said)}."
    return Panel(variant.label, alt, lambda axes: _draw(axes, table, every))


def _draw(axes: Axes, table: pd.DataFrame, every: list[float]) -> None:
    from matplotlib.lines import Line2D

    lag_axis(axes, float(table["lag"].max()))
    low, high = np.quantile(table["ratio"], (0.01, 0.99))
    reach = max(1 - low, high - 1, 0.05) * 1.15
    axes.set_ylim(max(0.0, min(low, 1.0) - 0.1 * reach), min(_HIGHEST, max(high, 1.0) + 0.15 * reach))
    ends = by_gamma(axes, table, "lag", "ratio", every, linewidth=1.2)
    axes.axhline(1, color=INK, linewidth=0.8, zorder=1)
    axes.set_ylabel("ρ = ‖δ$_{t,t-ℓ}$‖ / ‖δ$_{t,t-ℓ+1}$‖")
    handles = [
        Line2D([], [], color=INK, linewidth=1.2, label="measured"),
        Line2D([], [], color=INK, linewidth=0.8, label="1, the norm is kept"),
    ]
    name_gammas(axes, ends, handles)


def _caption(frames: Frames) -> str:
    table = _rows(frames)
    return (
        f"Ratio of the norms of the error terms one step apart, at {at_length(table)}: arithmetic mean over "
        f"{columns_of(frames)} and {over_seeds(table['n'])}; band: 95 % interval over seeds. An arithmetic mean of "
        "ratios may be above one while the error vanishes: its decay is in the curves. One lag in a hundred at "
        "either end may lie outside the window."
    )


def _tables(frames: Frames) -> list[Table]:
    note = (
        "Ω = Σ (ρ − 1)² over all steps, mean over columns and loss times as in Pascanu, Mikolov & Bengio 2013 but "
        "without a mask; Σ (ρ² − 1)² is the form of their code. Geometric means and 95 % intervals over seeds."
    )
    return [
        listed("How far the norm is from being kept", preserved.shown(longest(preserved.table(frames))), note)
    ]


PRESERVED_NORM = Figure(
    "preserved_norm",
    "Is the norm kept in every step?",
    "By what factor does one step change the norm of the error?",
    _missing,
    _panels,
    _caption,
    optional=True,
    tables=_tables,
)
