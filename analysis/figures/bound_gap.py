"""How far above the gradient the bound stands: by γ at the end of the sequence, and by lag at one γ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import decay
from ..load import DRAWN_VARIANTS, Frames, longest
from ..statistics import mean_interval
from ..text import fixed, listing, short
from ..variants import headline_gamma, present
from .axes import key_above, lag_axis
from .base import (
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

_LN10 = np.log(10.0)
MOST = 8
LEAST = 0.05
"""Decades that a window has on either side of zero where every gap is zero."""


def _missing(frames: Frames) -> str | None:
    if frames.has("bound_gap") and len(_rows(frames)):
        return None
    return "γ^ℓ is a bound for none of the cells in this study, or no curves were measured."


def _rows(frames: Frames) -> pd.DataFrame:
    table = decay.table(frames)
    rows = table[np.isfinite(table["bound_gap"])]
    return thinned(longest(rows)) if len(rows) else rows


def _panels(frames: Frames) -> list[Panel]:
    rows = _rows(frames)
    groups = families(frames, rows, MOST)
    return [panel for group in groups for panel in _pair(frames, rows, *group, alone=len(groups) == 1)]


def _pair(frames: Frames, rows: pd.DataFrame, title: str, labels: list[str], alone: bool) -> list[Panel]:
    """By γ at the last lag, and by lag at one γ."""
    ends = []
    for label in labels:
        part = rows[rows["variant"] == label]
        gamma = headline_gamma(frames.variants[label], part["gamma"])
        gap = part.loc[part["gamma"] == gamma, "bound_gap"].iloc[0] / _LN10
        ends.append(f"{label} {fixed(gap, 1)} decades at γ = {short(gamma)}")
    alt = f"Gap between bound and measurement at the last lag, against γ: {listing(ends)}."
    more = "" if alone else f"; {title}"
    size = tall(labels)
    panels = [Panel(f"at the last lag{more}", alt, lambda axes: _by_gamma(axes, frames, labels, rows), size)]
    gamma = headline_gamma(frames.variants[labels[0]], rows["gamma"])
    there = present(rows[(rows["gamma"] == gamma) & rows["variant"].isin(labels)])
    curves = _by_lag_table(frames, there, gamma)
    if len(curves):
        said = f"The same gap by lag at γ = {short(gamma)}: it grows in proportion to the lag where it is not zero."
        title = f"by lag, at γ = {short(gamma)}"
        panels.append(Panel(title, said, lambda axes: _by_lag(axes, frames, curves), tall(there)))
    return panels


def _by_gamma(axes: Axes, frames: Frames, labels: list[str], rows: pd.DataFrame) -> None:
    styles = variant_styles(frames)
    for label in labels:
        part = rows[rows["variant"] == label].sort_values("gamma")
        y, low, high = (part[f"bound_gap{end}"].to_numpy() / _LN10 for end in ("", "_low", "_high"))
        error = np.maximum(np.nan_to_num([y - low, high - y]), 0)
        axes.errorbar(part["gamma"], y, error, **styles[label], linewidth=1.2, elinewidth=1.4)
    _finish(axes, frames, labels)
    axes.set_xlabel("γ")


def _by_lag_table(frames: Frames, labels: list[str], gamma: float) -> pd.DataFrame:
    curves = pd.concat([frames.curve("adjoint"), frames.curve("bound")])
    curves = curves[curves["variant"].isin(labels) & (curves["gamma"] == gamma)]
    wide = curves.pivot_table(
        index=["point_id", "variant", "seed", "lag"], columns="kind", values="ln_norm", observed=True
    )
    if not {"adjoint", "bound"} <= set(wide.columns):
        return pd.DataFrame()
    gap = ((wide["bound"] - wide["adjoint"]) / _LN10).rename("gap").reset_index()
    return mean_interval(gap, ["variant", "lag"], "gap")


def _by_lag(axes: Axes, frames: Frames, curves: pd.DataFrame) -> None:
    styles = variant_styles(frames)
    labels = present(curves)
    for label in labels:
        part, look = curves[curves["variant"] == label], styles[label]
        every = max(len(part) // 8, 1)
        axes.fill_between(part["lag"], part["low"], part["high"], color=look["color"], alpha=0.2, linewidth=0)
        axes.plot(part["lag"], part["mean"], **look, markevery=every, linewidth=1.2)
    _finish(axes, frames, labels)
    lag_axis(axes, float(curves["lag"].max()))


def _finish(axes: Axes, frames: Frames, labels: list[str]) -> None:
    from matplotlib.lines import Line2D

    styles = variant_styles(frames)
    axes.set_ylabel("bound above measured (decades)")
    low, high = axes.get_ylim()
    if max(-low, high) < LEAST:  # rounding alone
        low, high = -LEAST, LEAST
    axes.set_ylim(min(0.0, low), max(0.0, high))
    key_above(axes, [Line2D([], [], **styles[label], linewidth=1.2, label=label) for label in labels])


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    labels = rows["variant"].nunique()
    return (
        f"ℓ ln γ less the measured adjoint curve, in decades, at {at_length(rows)}; only cells for which "
        "γ^ℓ is a "
        f"bound. Mean over {over_seeds(rows['n_bound_gap'])}, each seed a mean over "
        f"{columns_of(frames)}; bars and bands: 95 % "
        f"interval over seeds.{not_drawn(labels, min(labels, DRAWN_VARIANTS))}"
    )


BOUND_GAP = Figure(
    "bound_gap",
    "How loose the bound is",
    "By how many decades does the bound overstate the gradient?",
    _missing,
    _panels,
    _caption,
)
