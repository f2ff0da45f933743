"""Lyapunov spectra: every exponent against its place, one curve a γ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import lyapunov
from ..load import DRAWN_GAMMAS, Frames, longest
from ..tables import Table, listed
from ..text import listing, number, short
from ..variants import Variant, present
from .axes import key_above
from .base import INK, Figure, Panel, at_length, gamma_colours, not_drawn, over_seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 12
FEW = 24
"""Up to so many exponents each has a mark of its own."""
DEPTH = 4.0
"""The window ends so far below the largest exponent, or at the smallest."""


def _missing(frames: Frames) -> str | None:
    rows = lyapunov.spectrum(frames)
    there = len(rows) and bool(np.isfinite(rows["exponent"]).any())
    return None if there else "No Lyapunov exponents were measured in this study."


def _panels(frames: Frames) -> list[Panel]:
    table = lyapunov.spectrum(frames)
    table = table[
        table.groupby("variant", observed=True)["exponent"].transform(lambda v: np.isfinite(v).any())
    ]
    every = [float(gamma) for gamma in table["gamma"].unique()]
    return [
        _panel(frames.variants[label], table[table["variant"] == label], every)
        for label in present(table)[:PANELS]
    ]


def _panel(variant: Variant, table: pd.DataFrame, every: list[float]) -> Panel:
    first = table[table["index"] == 1]
    ends = [f"{number(r['exponent'], 3)} at γ = {short(r['gamma'])}" for r in first.to_dict("records")]
    size = int(table["index"].max())
    alt = f"Lyapunov spectrum of the {variant.noun}, S = {size}: the largest exponent is {listing(ends)}."
    return Panel(variant.label, alt, lambda axes: _draw(axes, table, every))


def _draw(axes: Axes, table: pd.DataFrame, every: list[float]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    finite = table["exponent"].to_numpy()
    finite = finite[np.isfinite(finite)]
    top = max(float(finite.max()), 0.0)
    bottom = max(float(finite.min()), float(finite.max()) - DEPTH)
    margin = 0.06 * (top - bottom) or 0.1
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_xlim(0, 1.02)
    handles = []
    for gamma, colour in gamma_colours(table["gamma"].unique(), every).items():
        part = table[table["gamma"] == gamma]
        x, y = part["share"].to_numpy(), part["exponent"].to_numpy()
        wide = (part["high"] - part["low"] > top - bottom).to_numpy()  # towards −∞ an interval says nothing
        low, high = (np.where(wide, np.nan, part[end]) for end in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(x, y, color=colour, marker="o" if len(part) <= FEW else "", markersize=3.5)
        handles.append(Line2D([], [], color=colour, label=f"γ = {short(gamma)}"))
    axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
    axes.set_xlabel("i / S")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.set_ylabel("λ$_i$ (natural logarithm a step)", labelpad=1)
    key_above(axes, handles)


def _caption(frames: Frames) -> str:
    drawn, table = lyapunov.spectrum(frames), lyapunov.table(frames)
    there = present(drawn)
    sizes = sorted(drawn.groupby("variant", observed=True)["index"].max().unique())
    most = frames.longest.groupby("variant", observed=True)["gamma"].nunique().max()
    seeds = drawn.loc[np.isfinite(drawn["exponent"]), "n"]
    few = f" At most {DRAWN_GAMMAS} γ a panel." if most > DRAWN_GAMMAS else ""
    return (
        f"Lyapunov exponents λ_1 ≥ … ≥ λ_S of the driven network at {at_length(drawn)}, S = "
        f"{' or '.join(str(int(size)) for size in sizes)}: mean over {over_seeds(seeds)}, each seed a mean over "
        "the steps without the first and last quarter (at most 100) and over the first batch columns; band: "
        f"95 % interval over seeds. Above the line directions grow. {_dimension(frames, table)} An exponent that "
        f"leaves the window, or is −∞ in a seed, is not drawn; nor is a band higher than "
        f"the window.{few}{not_drawn(len(there), min(len(there), PANELS))}"
    )


def _dimension(frames: Frames, table: pd.DataFrame) -> str:
    """Where the Kaplan–Yorke dimension is above zero, and how large."""
    rows = longest(table)
    if not (rows["dimension_most"] > 0).any():
        return "The Kaplan–Yorke dimension is 0 everywhere."
    row = rows.sort_values("dimension").iloc[-1].to_dict()
    return (
        f"The Kaplan–Yorke dimension is at most {lyapunov.dimension_text(row)}, in the "
        f"{frames.variants[str(row['variant'])].noun} at γ = {short(row['gamma'])}."
    )


def _more(frames: Frames) -> list[Table]:
    return [listed("Largest exponent and dimension at every γ", lyapunov.shown(lyapunov.table(frames)))]


LYAPUNOV = Figure(
    "lyapunov",
    "Lyapunov spectra",
    "How many directions does the network keep, and does any of them grow?",
    _missing,
    _panels,
    _caption,
    optional=True,
    more=_more,
)
