"""Findings of the probes that are measured by request: what is kept, for how long, and at what price."""

from __future__ import annotations

import numpy as np

from . import gates, memory, pairs, sensitivity
from .load import Frames, longest
from .sentences import Said, at_headline, few, together
from .text import between, fixed, listing, number, power_of_ten, short
from .variants import Variant

_LN10 = np.log(10.0)


def one_curve(frames: Frames) -> list[str]:
    """At γ = 1 the simple tanh network's error terms differ at lag 64 over t by 0.26 decades around 10^−11.7."""
    table = pairs.table(frames)
    if table.empty:
        return []
    last = int(table["lag"].max())
    lag = int(table["lag"].iloc[(table["lag"] - last / 2).abs().to_numpy().argmin()])
    rows = at_headline(frames, table[(table["lag"] == lag) & np.isfinite(table["spread"])])
    if not rows:
        return []
    said = [(variant, gamma, _spread(row)) for variant, gamma, row in rows]
    verb = (f"has at lag {lag:,} a spread over t of ", f"have at lag {lag:,} a spread over t of ")
    return together(said, [row["spread"] for _, _, row in rows], verb, "one of ")


def _spread(row: dict) -> str:
    mean = f"around a mean of {power_of_ten(row['mean'])}"
    if np.nanmax([row["spread"], row["spread_high"]]) < 0.005 * _LN10:
        return f"less than 0.01 decades {mean}"
    return f"{fixed(row['spread'] / _LN10, 2)} decades{_decades(row, 'spread')} {mean}"


def _decades(row: dict, name: str, n: str = "n") -> str:
    """An interval over seeds of a natural logarithm, in decades."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(low) or np.isnan(high):
        return between(low, high, int(row[n]))
    return f" [{fixed(low / _LN10, 2)}, {fixed(high / _LN10, 2)}]"


def gate_times(frames: Frames) -> list[str]:
    """The LSTM with its forget gate at 0.99 has a median gate time of 68 steps [63, 73], where 99 are nominal."""
    table = gates.table(frames)
    rows = at_headline(frames, table[np.isfinite(table["time"].astype("float64"))])
    said = [
        (variant, gamma, f"{gates.time_text(row)} steps, where γ promises {number(row['nominal'], 3)}")
        for variant, gamma, row in rows
    ]
    verb = ("has a median gate time of ", "have a median gate time of ")
    return together(said, [row["time"] for _, _, row in rows], verb, "one of ") if said else []


def remembered(frames: Frames) -> list[str]:
    """At γ = 1 the simple tanh network has a memory capacity of 5.6 [5.1, 6.2] of at most N = 24.

    N bounds it for white inputs; the caller's own, as a trained network's, have no law that says that they are.
    """
    table = memory.table(frames)
    rows = at_headline(frames, table[np.isfinite(table["capacity"].astype("float64"))])
    runs = frames.runs
    drawn = set(runs.loc[runs["input"].notna(), "variant"]) if "input" in runs else set(frames.variants)

    def bound(variant: Variant, row: dict) -> str:
        N = f"N = {row['units']:.0f}"
        return f"of at most {N}" if variant.label in drawn else f"at {N}, which is no bound for own inputs"

    said = [
        (variant, gamma, f"{memory.capacity_text(row)} {bound(variant, row)}") for variant, gamma, row in rows
    ]
    verb = ("has a memory capacity of ", "have a memory capacity of ")
    return together(said, [row["capacity"] for _, _, row in rows], verb, "one of ") if said else []


def sensitive(frames: Frames) -> list[str]:
    """From γ = 0.8 to 1, seed by seed, E(∂h/∂θ)² changes by +0.14 decades [+0.07, +0.22] (E h² by +0.05) in …"""
    table = sensitivity.table(frames)
    if table.empty:
        return []
    table = longest(table[table["n_sensitivity"] > 0])
    said: list[Said] = []
    sizes: list[float] = []
    spans: dict[str, tuple[float, float]] = {}
    for variant, high, _ in at_headline(frames, table):
        low = float(table.loc[table["variant"] == variant.label, "gamma"].to_numpy().min())
        grown = sensitivity.growth(frames, variant.label, low, high) if low < high else {}
        if grown and grown["sensitivity"]["n"]:
            said.append((variant, high, _grown(grown["sensitivity"], grown["hidden"])))
            sizes.append(grown["sensitivity"]["mean"])
            spans[variant.label] = (low, high)
    kept, remark = few(said, sizes) if said else ([], "")
    parts: dict[tuple[float, float], list[str]] = {}
    for variant, _, text in kept:
        parts.setdefault(spans[variant.label], []).append(f"{text} in the {variant.noun}")
    texts = [
        f"From γ = {short(low)} to {short(high)}, seed by seed, E(∂h/∂θ)² changes by {listing(several)}."
        for (low, high), several in parts.items()
    ]
    return texts + ([remark] if remark else [])


def _grown(sensitive: dict, hidden: dict) -> str:
    """+3.1 decades [+2.9, +3.3] (E h² by +0.4)."""
    low, high = sensitive["low"] / _LN10, sensitive["high"] / _LN10
    interval = (
        between(low, high, int(sensitive["n"])) if np.isnan(low) else f" [{_signed(low)}, {_signed(high)}]"
    )
    change, state = (_signed(row["mean"] / _LN10) for row in (sensitive, hidden))
    return f"{change} decades{interval} (E h² by {state})"


def _signed(value: float) -> str:
    text = fixed(value, 2)
    return f"+{text}" if value > 0 and text != "0.00" else text
