"""What a figure is: a question, panels that answer it, a caption; and how panels become pictures.

A panel draws on the axes that it is handed and knows nothing of pages or files. In a report every panel is its own
SVG, so that panels stand side by side on a wide page and under each other on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..load import DRAWN_VARIANTS, Frames
from ..variants import pick, present

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tables import Table

DRAWN_POINTS = 60
"""γ along an axis."""
PANEL = (5.2, 3.6)
"""Size of a panel in inches at 96 CSS pixels: half of a report's width."""

# Ink and paper are not colours but roles: in a dark window they have other values.
INK, MUTED, GRID, PAPER = "#14181d", "#59636f", "#d3d9df", "#fefdfc"

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#8c6d3f")
"""Okabe and Ito's colours without yellow and black, and two more: they differ also to the colour-blind."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHED: Any = (0, (5, 3))
"""Bounds, references and guides."""
BELOW, ABOVE = ("#8a6bbf", "#3f6fb5", "#2f97c1", "#3aaf9f", "#79b84b"), ("#eda63b", "#e2703a", "#c93a36")
"""Colours of γ below and above one, in order; γ = 1 is drawn in ink."""


@dataclass(frozen=True)
class Panel:
    """One picture: what it is called, what a person who cannot see it is told, and how it is drawn."""

    title: str
    alt: str
    draw: Callable[[Axes], None]
    size: tuple[float, float] = PANEL
    right: float = 0.52
    """Inches to the right of the axes, for the names of curves."""


@dataclass(frozen=True)
class Figure:
    """One figure of a report: the question that it answers, its panels and its caption.

    ``missing`` says in a sentence why a study cannot have this figure, or is None. Where an ``optional`` figure is
    missing, a report has no section of it: its probe is measured by request only.
    """

    name: str
    title: str
    question: str
    missing: Callable[[Frames], str | None]
    panels: Callable[[Frames], list[Panel]]
    caption: Callable[[Frames], str]
    optional: bool = False
    tables: Callable[[Frames], list[Table]] | None = None
    """Tables under the panels."""
    more: Callable[[Frames], list[Table]] | None = None
    """Tables that are folded away."""


def key_shape(labels: list[str]) -> tuple[int, int]:
    """Columns and rows of a legend over a panel: as many columns as its words leave room for."""
    sizes = [len(label.replace("$^ℓ$", "ℓ")) for label in labels]
    for columns in (4, 3, 2):
        rows, large = divmod(len(sizes), columns)  # as matplotlib fills them, the first ones fuller
        starts = [i * rows + min(i, large) for i in range(columns + 1)]
        widths = [max(sizes[i:j], default=0) + 8 for i, j in pairwise(starts)]
        if sum(widths) <= 64 and len(sizes) >= columns:
            return columns, rows + (large > 0)
    return 1, len(labels)


def tall(labels: list[str]) -> tuple[float, float]:
    """Size of a panel whose legend has these labels and one more: higher where that takes many rows."""
    rows = max(key_shape(labels)[1], key_shape([*labels, ""])[1])  # one more may leave room for a column
    return PANEL[0], PANEL[1] + 0.175 * max(rows - 3, 0)


def gamma_colours(shown: Iterable[float], every: Iterable[float] = ()) -> dict[float, str]:
    """A colour for each γ that is shown, in order: cool below one, ink at one, warm above.

    ``every``: the γ of all panels, so that a γ has one colour in all of them.
    """
    gammas = sorted({*shown, *every})
    low, high = [g for g in gammas if g < 1], [g for g in gammas if g > 1]
    colours = {**_spread(low, BELOW), 1.0: INK, **_spread(high, ABOVE)}
    return {gamma: colours[gamma] for gamma in sorted(set(shown))}


def _spread(values: list[float], stops: tuple[str, ...]) -> dict[float, str]:
    """Colours along the stops, evenly for the values in order; between two stops they are mixed."""
    from matplotlib.colors import to_hex, to_rgb

    last, colours = max(len(values) - 1, 1), {}
    for i, value in enumerate(values):
        place = i * (len(stops) - 1) / last
        left = min(int(place), len(stops) - 2)
        mixed = zip(to_rgb(stops[left]), to_rgb(stops[left + 1]), strict=True)
        red, green, blue = (a + (place - left) * (b - a) for a, b in mixed)
        colours[value] = to_hex((red, green, blue))
    return colours


def variant_styles(frames: Frames) -> dict[str, dict[str, Any]]:
    """Colour and marker of each variant: the same in every figure."""
    return {
        label: {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[(i + i // len(PALETTE)) % len(MARKERS)]}
        for i, label in enumerate(frames.variants)
    }


def families(frames: Frames, rows: pd.DataFrame, most: int = 8) -> list[tuple[str, list[str]]]:
    """Variants that can share axes, at most eight a panel: those whose γ is a weight or norm, a gate, or what
    is realised."""
    there = present(rows)[:DRAWN_VARIANTS]
    groups: list[tuple[str, list[str]]] = []
    for kind in ("a norm or a weight", "a gate", "realised"):
        title, labels = f"γ is {kind}", [label for label in there if frames.variants[label].gamma_is == kind]
        parts = [labels[i : i + most] for i in range(0, len(labels), most)]
        groups += [
            (title if len(parts) == 1 else f"{title}, {i} of {len(parts)}", part)
            for i, part in enumerate(parts, start=1)
        ]
    return groups


def thinned(rows: pd.DataFrame, most: int = DRAWN_POINTS) -> pd.DataFrame:
    """Rows of at most so many γ of each variant, evenly spread: more cannot be told apart. The tables have all."""
    counts = rows.groupby("variant", observed=True)["gamma"].nunique()
    left_out = pd.Series(False, index=rows.index)
    for label in counts.index[counts > most]:
        part = rows.loc[rows["variant"] == label, "gamma"]
        left_out[part.index[~part.isin(pick(part, most, float(part.iloc[0])))]] = True
    return rows[~left_out]


# -- words of captions -------------------------------------------------------------------------------------


def over_seeds(counts: pd.Series) -> str:
    """How many seeds the means are over: ``5 seeds``, ``1 to 5 seeds``, ``one seed, so without an interval``."""
    known = counts[counts > 0]
    if known.empty:
        return "no seed"
    low, high = int(known.min()), int(known.max())
    if high == 1:
        return "one seed, so without an interval"
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"


def at_length(rows: pd.DataFrame) -> str:
    """``T = 256``, or ``T = 64 or 256, the longest of each variant``."""
    lengths = [f"{int(v):,}" for v in sorted(rows["length"].unique())]
    return (
        f"T = {lengths[0]}"
        if len(lengths) == 1
        else f"T = {' or '.join(lengths)}, the longest of each variant"
    )


def columns_of(frames: Frames) -> str:
    """What one seed's number is itself a mean over."""
    sizes = sorted(frames.runs["batch_size"].dropna().unique()) if "batch_size" in frames.runs else []
    batch = f"{int(sizes[0])} batch columns" if len(sizes) == 1 and sizes[0] > 1 else "the batch columns"
    times = set(frames.runs["loss_times"].dropna().astype(str)) if "loss_times" in frames.runs else {"last"}
    return batch if times == {"last"} else f"{batch} and the loss times"


def not_drawn(variants: int, drawn: int) -> str:
    """What a figure with too many variants leaves to the tables."""
    return f" Shown are {drawn} of {variants} variants; the tables have all." if variants > drawn else ""
