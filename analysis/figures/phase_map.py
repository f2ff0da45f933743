"""γ × T maps of what is left of the error over the whole sequence, in decades; one map a cell variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import phase
from ..load import Frames
from ..text import fixed, short
from ..variants import Variant, pick, present
from .base import INK, PANEL, PAPER, Figure, Panel, columns_of, not_drawn, over_seeds, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = (-np.inf, -30, -10, -3, -1, -0.3, 0.3, 1, 3, 10, 30, np.inf)
COLOURS = (
    *("#08306b", "#1f5fa5", "#4a90c7", "#8fbfe0", "#cfe1f0"),
    "#f4f2ee",
    *("#fbe0c8", "#f6b98b", "#e8804f", "#c8432c", "#7f1a12"),
)
"""Blue vanishes, red explodes; each class is a factor of three or so in decades."""
PANELS = 24


def _missing(frames: Frames) -> str | None:
    return None if frames.has("ln_ratio_end") else "No curves were measured in this study."


def _panels(frames: Frames) -> list[Panel]:
    table = _fitting(phase.table(frames))
    there = present(table)
    return [_panel(frames.variants[label], table[table["variant"] == label]) for label in there[:PANELS]]


def _fitting(table: pd.DataFrame) -> pd.DataFrame:
    """At most 60 γ and 24 lengths: more boxes cannot be told apart."""
    lengths = pick(table["length"].astype("float64"), 24, float(table["length"].max()))
    return thinned(table[table["length"].isin(lengths)])


def _panel(variant: Variant, table: pd.DataFrame) -> Panel:
    values = table["decades"].dropna()
    spoken = (
        f"from {fixed(values.min(), 1)} to {fixed(values.max(), 1)} decades"
        if len(values)
        else "no value anywhere"
    )
    odd = int(table[[s for s in phase.STATUSES if s != "ok"]].to_numpy().sum())
    alt = f"Map of γ against T for the {variant.noun}: {spoken}" + (f"; {odd} points not ok." if odd else ".")
    rows = table["length"].nunique()
    size = (PANEL[0], 0.9 + 0.34 * min(max(rows, 2), 12))
    return Panel(variant.label, alt, lambda axes: _draw(axes, table), size, right=0.1)


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    from matplotlib.patches import Rectangle

    gammas, lengths = sorted(table["gamma"].unique()), sorted(table["length"].unique())
    numbered = len(gammas) <= 14 and len(lengths) <= 14
    for row in table.to_dict("records"):
        x, y = gammas.index(row["gamma"]), lengths.index(row["length"])
        value, mark = row["decades"], phase.mark(row)
        place = int(np.searchsorted(LEVELS, value, side="right")) - 1 if np.isfinite(value) else None
        face = PAPER if place is None else COLOURS[min(place, len(COLOURS) - 1)]
        axes.add_patch(
            Rectangle(
                (x - 0.5, y - 0.5),
                1,
                1,
                facecolor=face,
                edgecolor=PAPER,
                hatch="////" if place is None else None,
            )
        )
        if place is None:
            _write(axes, x, y, mark, INK, boxed=True)
        elif numbered:
            dark = place in (0, 1, 2, len(COLOURS) - 1, len(COLOURS) - 2, len(COLOURS) - 3)
            _write(axes, x, y, fixed(value, 0 if abs(value) >= 9.95 else 1), "#ffffff" if dark else "#14181c")
        if place is not None and mark:
            axes.plot(x + 0.36, y + 0.3, marker="o", markersize=4, color="#14181c", markeredgecolor="#ffffff")
    _ticks(axes, gammas, lengths)


def _write(axes: Axes, x: float, y: float, text: str, colour: str, boxed: bool = False) -> None:
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.2} if boxed else None
    axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour, bbox=box)


def _ticks(axes: Axes, gammas: list[float], lengths: list[int]) -> None:
    names = [short(g) for g in gammas]
    every = -(-len(names) * (2 * max(map(len, names)) + 3) // 134)  # labels that stand clear of each other
    axes.set_xticks(range(0, len(names), every), names[::every])
    tall = max(1, -(-len(lengths) // 14))
    axes.set_yticks(range(0, len(lengths), tall), [str(v) for v in lengths[::tall]])
    axes.set_xlim(-0.5, len(gammas) - 0.5)
    axes.set_ylim(-0.5, len(lengths) - 0.5)
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("γ")
    axes.set_ylabel("T (steps)")


def _caption(frames: Frames) -> str:
    table = phase.table(frames)
    there = [s for s in phase.LETTERS if table[s].sum()]
    marks = ", ".join(f"{phase.LETTERS[s]}: {s.replace('_', ' ')}" for s in there)
    partly = bool(((table["n"] > 0) & (table[there].sum(axis=1) > 0)).any()) if there else False
    hatched = f" Hatched: no value ({marks})." if bool((table["n"] == 0).any()) and marks else ""
    dots = (
        f" A dot: some seeds have no value ({marks}); the number is the mean of the others." if partly else ""
    )
    labels = table["variant"].nunique()
    return (
        "log10 of ‖λ‖ at the first step over ‖λ‖ at the last: −6 means that a millionth of the error "
        "arrives, 0 that all "
        f"does. Mean over {over_seeds(table['n'])}, each seed a mean of logarithms over "
        f"{columns_of(frames)}. Blue vanishes, "
        "red explodes, white holds within a factor of "
        f"two.{hatched}{dots}{not_drawn(labels, min(labels, PANELS))}"
    )


PHASE_MAP = Figure(
    "phase_map",
    "Vanish, hold or explode",
    "Over a whole sequence, by how many decades does the error shrink or grow?",
    _missing,
    _panels,
    _caption,
)
