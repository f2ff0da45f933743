"""Mean squares of the hidden state and of its derivative by the recurrent parameters, against γ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import sensitivity
from ..load import Frames, longest
from ..tables import Table, listed
from ..text import listing, power_of_ten, short
from .axes import Floats, decades, key_above
from .base import Figure, Panel, at_length, families, over_seeds, tall, thinned
from .series import against_gamma, decades_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDEST, _BARS = (-12.0, 60.0), 3.0
"""Decades: the lowest and highest mean that is drawn, and how far beyond them a bar is drawn whole."""
_WORDS = {"hidden": "E h²", "sensitivity": "E(∂h/∂θ)²"}


def _missing(frames: Frames) -> str | None:
    return None if len(_rows(frames)) else "Forward sensitivities were not measured in this study."


def _rows(frames: Frames) -> pd.DataFrame:
    table = sensitivity.table(frames)
    return thinned(longest(table[np.isfinite(table["hidden"].astype("float64"))])) if len(table) else table


def _panels(frames: Frames) -> list[Panel]:
    rows = _rows(frames)
    return [
        _panel(frames, name, title, labels, rows)
        for title, labels in families(frames, rows)
        for name in _WORDS
    ]


def _panel(frames: Frames, name: str, title: str, labels: list[str], rows: pd.DataFrame) -> Panel:
    own = rows[rows["variant"].isin(labels)]
    said = []
    for label in labels:
        part = own[own["variant"] == label].sort_values("gamma")
        first, last = part.iloc[0], part.iloc[-1]
        said.append(
            f"{label} from {power_of_ten(first[name])} at γ = {short(first['gamma'])} "
            f"to {power_of_ten(last[name])} at {short(last['gamma'])}"
        )
    alt = f"{_WORDS[name]} against γ: {listing(said)}."
    return Panel(
        f"{_WORDS[name]}: {title}", alt, lambda axes: _draw(axes, frames, name, labels, own), tall(labels)
    )


def _draw(axes: Axes, frames: Frames, name: str, labels: list[str], rows: pd.DataFrame) -> None:
    handles = against_gamma(axes, frames, rows, labels, (name, f"{name}_low", f"{name}_high"), decades_of)
    means, *bars = (decades_of(rows[f"{name}{end}"].to_numpy(np.float64)) for end in ("", "_low", "_high"))
    axes.set_ylim(*_window(means, np.concatenate(bars)))
    decades(axes)
    axes.set_ylabel(_WORDS[name])
    key_above(axes, handles)


def _window(means: Floats, bars: Floats) -> tuple[float, float]:
    """Whole decades around the means, and around bars that do not reach far beyond them."""
    means = means[np.isfinite(means)]
    kept = np.clip(means, *_WIDEST) if len(means) else np.zeros(1)
    near = bars[(bars > kept.min() - _BARS) & (bars < kept.max() + _BARS)]
    seen = np.concatenate([kept, near])
    return np.floor(seen.min() - 0.05), np.ceil(seen.max() + 0.05)


def _caption(frames: Frames) -> str:
    rows = _rows(frames)
    return (
        f"At the last step, {at_length(rows)}: mean square of the hidden units, and of the norm of a unit's "
        f"derivative by all recurrent parameters. Geometric mean over {over_seeds(rows['n_sensitivity'])}, each "
        "seed's a mean over units and batch columns; bars: 95 % interval over seeds. A long memory can make the "
        "state sensitive to the parameters even where the error terms are calm (Zucchet & Orvieto 2024); where γ "
        "keeps for longer than T, the sequence is too short to show it. What leaves the window is in the table."
    )


def _tables(frames: Frames) -> list[Table]:
    return [listed("Forward sensitivity", sensitivity.shown(longest(sensitivity.table(frames))))]


SENSITIVITY = Figure(
    "sensitivity",
    "How sensitive the state becomes",
    "Do the state and its derivative by the parameters grow as γ → 1?",
    _missing,
    _panels,
    _caption,
    optional=True,
    tables=_tables,
)
