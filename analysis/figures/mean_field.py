"""Mean-field growth per step over γ (dashed) with what was measured: realised and Lyapunov γ of the simple cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import mean_field
from ..load import Frames, longest
from ..tables import Table, listed
from ..text import fixed, listing, short
from ..variants import present
from .axes import key_above
from .base import (
    DASHED,
    INK,
    MUTED,
    Figure,
    Panel,
    at_length,
    columns_of,
    not_drawn,
    over_seeds,
    thinned,
    variant_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS, GRID_POINTS = 12, 160
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "gamma_realised": ("realised γ", {"marker": "o"}),
    "gamma_lyapunov": ("Lyapunov γ", {"marker": "D", "markersize": 7.5, "markerfacecolor": "none"}),
}


def _missing(frames: Frames) -> str | None:
    return None if len(_rows(frames)) else "Mean field was not computed in this study, or has no simple cell."


def _rows(frames: Frames) -> pd.DataFrame:
    table = mean_field.table(frames)
    if table.empty:
        return table
    known = table["variant"].astype(object).isin(list(mean_field.laws(frames)))
    return thinned(longest(table[known])) if known.any() else table[known]


def _panels(frames: Frames) -> list[Panel]:
    rows, laws = _rows(frames), mean_field.laws(frames)
    return [
        _panel(frames, label, rows[rows["variant"] == label], laws[label]) for label in present(rows)[:PANELS]
    ]


def _panel(frames: Frames, label: str, rows: pd.DataFrame, law: mean_field.Law) -> Panel:
    spoken = []
    for row in (rows.iloc[0].to_dict(), rows.iloc[-1].to_dict()):
        there = [
            f"{word} {fixed(row[name], 3)}"
            for name, (word, _) in LOOKS.items()
            if not np.isnan(row.get(name, np.nan))
        ]
        said = listing([f"mean field {fixed(row['gamma_mean_field'], 3)}", *there])
        spoken.append(f"at γ = {short(row['gamma'])} {said}")
    alt = (
        f"Growth per step of {label} against γ: {'; '.join(dict.fromkeys(spoken))}. "
        f"Mean field is critical at γ = {fixed(law.critical, 3)}."
    )
    colour = variant_styles(frames)[label]["color"]
    return Panel(label, alt, lambda axes: _draw(axes, rows, law, colour))


def _draw(axes: Axes, rows: pd.DataFrame, law: mean_field.Law, colour: str) -> None:
    from matplotlib.lines import Line2D

    low, high = window(rows["gamma"], law.critical)
    gammas = np.linspace(low, high, GRID_POINTS)
    axes.plot(gammas, law.gamma(gammas), color=INK, linestyle=DASHED, linewidth=1.1, zorder=2)
    axes.axhline(1, color=INK, linewidth=0.6, zorder=1)
    handles = [Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label="mean field √χ")]
    for name, (word, look) in LOOKS.items():
        if name not in rows or not rows[name].notna().any():
            continue
        y, below, above = (rows[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
        error = np.maximum(np.nan_to_num([y - below, above - y]), 0)
        axes.errorbar(rows["gamma"], y, error, color=colour, **look, linestyle="", elinewidth=1.4, zorder=3)
        handles.append(Line2D([], [], color=colour, **look, linestyle="", label=word))
    margin = 0.03 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    if low <= law.critical <= high:
        axes.axvline(law.critical, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
        left = law.critical > (low + high) / 2
        axes.annotate(
            f"χ = 1 at γ = {fixed(law.critical, 3)}",
            (law.critical, 0.02),
            (-4 if left else 4, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if left else "left",
            color=MUTED,
            fontsize=9,
        )
    axes.set_xlabel("γ")
    axes.set_ylabel("growth per step")
    key_above(axes, handles)


def window(gammas: pd.Series, critical: float) -> tuple[float, float]:
    """From the smallest to the largest γ, and on to the critical one where it is not far; about one γ alone."""
    low, high = float(gammas.min()), float(gammas.max())
    if low == high:
        low, high = (0.5 * low, 1.5 * high) if high else (0.0, 1.0)
    near = low / 2 <= critical <= 2 * high
    return (min(low, 0.97 * critical), max(high, 1.03 * critical)) if near else (low, high)


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    drawn = present(rows)
    beyond = [
        f"{label} {fixed(law.critical, 3)}"
        for label, law in mean_field.laws(frames).items()
        if label in drawn and not _shown(rows, label, law)
    ]
    outside = f" Critical γ outside its panel: {listing(beyond)}." if 0 < len(beyond) <= PANELS else ""
    return (
        "Dashed: √χ, the growth per step of the adjoint for infinitely many units, for gain and input of the drawn "
        "arrays (mean of up to five seeds); dotted: the critical γ, where χ = 1. Marks: measured at "
        f"{at_length(rows)}, geometric mean over {over_seeds(rows['n_gamma_mean_field'])}, each realised γ a mean "
        f"over {columns_of(frames)}; bars: 95 % interval over seeds. What separates marks and line is a finite "
        f"number of units and one draw of the weights.{outside}{not_drawn(len(drawn), min(len(drawn), PANELS))}"
    )


def _shown(rows: pd.DataFrame, label: str, law: mean_field.Law) -> bool:
    low, high = window(rows.loc[rows["variant"] == label, "gamma"], law.critical)
    return low <= law.critical <= high


def _more(frames: Frames) -> list[Table]:
    return [listed("Mean field and measurement at every γ", mean_field.shown(mean_field.table(frames)))]


MEAN_FIELD = Figure(
    "mean_field",
    "Mean-field theory and measurement",
    "Does the network of finite width do what theory says of a wide one, and where is it critical?",
    _missing,
    _panels,
    _caption,
    optional=True,
    more=_more,
)
