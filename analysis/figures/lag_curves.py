"""The error by lag with the bound (dashed), or for gated cells γ^ℓ as a reference and the product of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import curves
from ..load import DRAWN_GAMMAS, Frames
from ..text import listing, power_of_ten, short
from ..variants import Variant, present
from .axes import End, decades, key_above, label_ends, lag_axis, leaving, name_of_labels
from .base import DASHED, INK, Figure, Panel, at_length, columns_of, gamma_colours, not_drawn, over_seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LN10 = np.log(10.0)
_FLOOR, _CEILING = -30.0, 12.0


def _missing(frames: Frames) -> str | None:
    return None if len(curves.table(frames)) else "No curves were measured in this study."


def _panels(frames: Frames) -> list[Panel]:
    table = curves.table(frames)
    every = [float(gamma) for gamma in table["gamma"].unique()]
    return [
        _panel(frames.variants[str(label)], part, every)
        for label, part in table.groupby("variant", observed=True, sort=True)
    ]


def _panel(variant: Variant, table: pd.DataFrame, every: list[float]) -> Panel:
    last = table[table["lag"] == table.groupby("gamma")["lag"].transform("max")]
    ends = [f"{power_of_ten(r['adjoint'])} at γ = {short(r['gamma'])}" for r in last.to_dict("records")]
    lag = f"{int(table['lag'].max()):,}"
    alt = f"Lag curves of the {variant.noun}: at lag {lag} what is left of the error is {listing(ends)}."
    return Panel(variant.label, alt, lambda axes: _draw(axes, variant, table, every))


def _draw(axes: Axes, variant: Variant, table: pd.DataFrame, every: list[float]) -> None:
    colours = gamma_colours(table["gamma"].unique(), every)
    lag_axis(axes, float(table["lag"].max()))
    axes.set_ylim(*_window(table))
    ends: list[End] = []
    for gamma, colour in colours.items():
        curve = table[table["gamma"] == gamma]
        x = curve["lag"].to_numpy(dtype="float64")
        y, low, high, bound, gates = (
            curve[name].to_numpy() / _LN10 for name in ("adjoint", "low", "high", "bound", "gate_product")
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(x, y, color=colour)
        axes.plot(x, bound, color=colour, linestyle=DASHED, linewidth=1.1)
        if variant.gated:
            axes.plot(x, gates, color=colour, linestyle=":", linewidth=1.5)
        ends += leaving(axes, x, y, short(gamma), colour)
    label_ends(axes, ends)
    decades(axes)
    axes.set_ylabel("‖λ$_{t,t-ℓ}$‖ / ‖λ$_{t,t}$‖")
    _key(axes, variant)


def _window(table: pd.DataFrame) -> tuple[float, float]:
    """The same window for all cells, narrower only where nothing reaches its edges."""
    values = table[["adjoint", "bound"]].to_numpy() / _LN10
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    return max(_FLOOR, min(low * 1.05, -3.0)), min(_CEILING, max(high * 1.1, 1.0))


def _key(axes: Axes, variant: Variant) -> None:
    from matplotlib.lines import Line2D

    dashed = "bound γ$^ℓ$" if variant.bounded else "γ$^ℓ$, a reference, no bound"
    lines = [
        Line2D([], [], color=INK, label="measured"),
        Line2D([], [], color=INK, linestyle=DASHED, linewidth=1.1, label=dashed),
    ]
    if variant.gated:
        lines.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.5, label="∏f"))
    key_above(axes, lines)
    name_of_labels(axes)


def _caption(frames: Frames) -> str:
    table = curves.table(frames)
    there = [frames.variants[label] for label in present(table)]
    bounded, others = ([v.label for v in there if v.bounded is wanted] for wanted in (True, False))
    if not (bounded and others):
        dashed = ["a bound that cannot be passed" if bounded else "a reference and no bound"]
    elif len(there) > 8:
        dashed = ["a bound or a reference, as each panel says"]
    else:
        dashed = [f"for {listing(bounded)} a bound that cannot be passed"]
        dashed += [f"for {listing(others)} a reference and no bound"]
    dotted = " Dotted: ∏f, the product of the forget or keep gates." if any(v.gated for v in there) else ""
    first = " The first lag takes an LSTM's error once through output gate and read-out."
    first = first if any(v.cell.startswith("lstm") for v in there) else ""
    most = frames.longest.groupby("variant", observed=True)["gamma"].nunique().max()
    drawn = f" At most {DRAWN_GAMMAS} γ a panel." if most > DRAWN_GAMMAS else ""
    return (
        f"Adjoints λ by lag at {at_length(table)}: geometric mean over {over_seeds(table['n'])}, each seed a mean "
        f"of logarithms over {columns_of(frames)}; band: 95 % interval over seeds. Dashed: γ^ℓ of the nominal γ, "
        f"{'; '.join(dashed)}.{dotted}{first}{drawn} A curve that leaves the window goes on."
        f"{not_drawn(frames.longest['variant'].nunique(), len(there))}"
    )


LAG_CURVES = Figure(
    "lag_curves",
    "The error on its way back",
    "What is left of the error after ℓ steps, and how far below the bound is it?",
    _missing,
    _panels,
    _caption,
)
