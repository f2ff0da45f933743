"""What the data say, in sentences: every number in them is computed, and a censored horizon is "more than"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import compare, coverage, decay, horizon, saturation
from .findings_further import chaos, four, squeezed, wide, windows
from .findings_grown import calibrated, gates, growth, with_length
from .findings_kept import gate_times, one_curve, remembered, sensitive
from .load import Frames, longest
from .sentences import ENDS, MOST, at_headline, together
from .text import between, fixed, lag_range, lags, listing, number, plural, power_of_ten, short, spread
from .variants import GROUP, Variant, present

_LN10 = np.log(10.0)


@dataclass(frozen=True)
class Finding:
    """What is said of one matter: a word for it, its sentences, and the section of a report that shows it."""

    matter: str
    sentences: list[str]
    see: str


def findings(frames: Frames) -> list[Finding]:
    """Everything that can be said of these frames, the most important first; at least one sentence."""
    said = [Finding(matter, texts, see) for matter, see, speak in FINDINGS if (texts := speak(frames))]
    return said or [Finding("Points", ["No point of this study has a result yet."], "coverage")]


# -- the findings ------------------------------------------------------------------------------------------


def reach(frames: Frames) -> list[str]:
    """At nominal γ = 1 the simple tanh network keeps 1 % of the error for 10.6 steps [9.8, 11.4]."""
    table = horizon.table(frames)
    rows = at_headline(frames, table[(table["level"] == "horizon_1") & (table["n"] > 0)])
    said = [(variant, gamma, _steps(row)) for variant, gamma, row in rows]
    verb = ("keeps 1 % of the error for ", "keep 1 % of the error for ")
    return together(said, [row["centre"] for _, _, row in rows], verb, "for ")


def _steps(row: dict) -> str:
    beyond = f"more than {lags(row['limit'], 0)} steps"
    if row["kind"] == "geometric mean":
        same = row["n"] > 1 and np.isfinite(row["low"]) and row["high"] - row["low"] <= 1e-9 * row["centre"]
        spread = (
            " in every seed" if same else lag_range(row["centre"], row["low"], row["high"], int(row["n"]))
        )
        return f"{lags(row['centre'])} steps{spread}"
    if row["censored"] == row["n"]:
        return beyond + (" (n = 1)" if row["n"] == 1 else "")
    if row["kind"] == "median":
        return f"a median of {lags(row['centre'])} steps ({row['censored']} of {row['n']} seeds: {beyond})"
    return f"{beyond} in {row['censored']} of {row['n']} seeds, the shortest {lags(row['low'])}"


def looseness(frames: Frames) -> list[str]:
    """At lag 255 the bound is 48.4 decades above the gradient of the simple tanh network."""
    if not frames.has("bound_gap"):
        return []
    rows = [r for r in at_headline(frames, decay.table(frames)) if np.isfinite(r[2]["bound_gap"])]
    loose = [r for r in rows if abs(r[2]["bound_gap"]) >= 1e-6]
    met = [r for r in rows if abs(r[2]["bound_gap"]) < 1e-6]
    said = [
        (
            variant,
            gamma,
            f"{_gap(row)} ({power_of_ten(row['ln_ratio_end'])} is left)",
        )
        for variant, gamma, row in loose
    ]
    texts = []
    if loose:
        lag = int(max(row["length"] for _, _, row in loose)) - 1
        verb = (f"stays below its bound at lag {lag:,} by ", f"stay below their bounds at lag {lag:,} by ")
        texts += together(said, [row["bound_gap"] for _, _, row in loose], verb, "by ")
    meets = ("meets its bound exactly", "meet their bounds exactly")
    return texts + together([(v, g, "") for v, g, _ in met], [0.0] * len(met), meets, "")


def _gap(row: dict) -> str:
    gap, low, high = (fixed(row[f"bound_gap{end}"] / _LN10, 1) for end in ("", "_low", "_high"))
    return f"{gap} decades{spread(low, high, int(row['n_bound_gap']))}"


def realised(frames: Frames) -> list[str]:
    """Nominal γ = 1 is a realised γ of 0.646, and where a realised γ of 1 is reached."""
    if not frames.has("gamma_realised"):
        return []
    table = longest(decay.table(frames))
    rows = [r for r in at_headline(frames, table) if np.isfinite(r[2]["gamma_realised"])]
    off = [r for r in rows if abs(r[2]["gamma_realised"] - r[1]) > 1e-3]
    said = [(variant, gamma, fixed(row["gamma_realised"], 3) + _three(row)) for variant, gamma, row in off]
    verb = ("has a realised γ of ", "have a realised γ of ")
    texts = together(said, [row["gamma_realised"] for _, _, row in off], verb, "one of ")
    crossings: dict[str, list[str]] = {}
    for variant, _, _ in rows if len(rows) <= MOST else ():
        if not variant.gated and variant.gamma_kind != "realised" and (where := _crossing(table, variant)):
            crossings.setdefault(where, []).append(f"the {variant.noun}")
    parts = [f"{where} in {listing(nouns)}" for where, nouns in crossings.items()]
    if parts:
        texts.append(f"A realised γ of 1, where the error would keep its size, is {'; '.join(parts)}.")
    return texts


def _three(row: dict) -> str:
    low, high, n = row["gamma_realised_low"], row["gamma_realised_high"], int(row["n_gamma_realised"])
    return f" [{fixed(low, 3)}, {fixed(high, 3)}]" if np.isfinite(low) else between(low, high, n)


def _crossing(table: pd.DataFrame, variant: Variant) -> str:
    """Where realised γ passes one on the way up, between which γ of the grid; '' where nominal is realised."""
    part = table[(table["variant"] == variant.label) & table["gamma_realised"].notna()].sort_values("gamma")
    gamma, value = part["gamma"].to_numpy(), part["gamma_realised"].to_numpy()
    if len(part) < 2 or (np.abs(value - gamma) <= 1e-3).any():
        return ""
    up = np.flatnonzero((value[:-1] < 1) & (value[1:] >= 1))
    if len(up):
        return f"reached between γ = {short(gamma[up[0]])} and {short(gamma[up[0] + 1])}"
    if (value < 1).all():
        best = int(value.argmax())
        return f"not reached in this study (at most {fixed(value[best], 3)}, at γ = {short(gamma[best])})"
    return ""


def closing(frames: Frames) -> list[str]:
    """The memory cell keeps the error and loses the way out."""
    if frames.saturation.empty or not any(v.cell == "memory" for v in frames.variants.values()):
        return []
    table = saturation.table(frames)
    last = table[table["step"] == table.groupby(list(GROUP), observed=True)["step"].transform("max")]
    rows = [r for r in at_headline(frames, last) if r[0].cell == "memory" and np.isfinite(r[2]["mean"])]
    said = []
    for variant, gamma, row in rows:
        guide = f" (Gaussian sums: {number(row['guide'], 3)})" if np.isfinite(row["guide"]) else ""
        shown = number(row["mean"], 3) + between(row["low"], row["high"], int(row["n"]), 3)
        said.append((variant, gamma, f"{shown}{guide}"))
    if not rows:
        return []
    step = int(max(row["step"] for _, _, row in rows))
    verb = (
        f"has at step {step:,} a read-out of mean slope ",
        f"have at step {step:,} a read-out of mean slope ",
    )
    texts = together(said, [row["mean"] for _, _, row in rows], verb, "one of ")
    if min(row["mean"] for _, _, row in rows) < 0.5:
        texts.append("What a memory cell loses in its read-out it loses with time, and not with lag.")
    return texts


def changes(frames: Frames) -> list[str]:
    """What another variant does at the same γ and the same seeds."""
    table = compare.table(frames)
    if table.empty:
        return []
    texts = []
    for reference, part in compare.headline(frames, table).groupby("reference", sort=False, observed=True):
        rows = [
            r for r in part.to_dict("records") if r["horizon_kind"] in ("ratio", "more than", "less than")
        ]
        noun = frames.variants[str(reference)].noun
        order = sorted(range(len(rows)), key=lambda i: rows[i]["horizon_ratio"])
        kept = sorted({*order[:ENDS], *order[-ENDS:]}) if len(rows) > MOST else range(len(rows))
        at: dict[float, dict[str, list[str]]] = {}
        for row in (rows[i] for i in kept):
            alike = at.setdefault(float(row["gamma"]), {})
            alike.setdefault(_times(row), []).append(f"the {frames.variants[str(row['level'])].noun}")
        for gamma, alike in at.items():
            parts = [f"{text} in {listing(nouns)}" for text, nouns in alike.items()]
            texts.append(
                f"Seed by seed at γ = {short(gamma)}, and against the {noun}, the gradient reaches "
                f"{listing(parts)}."
            )
    return texts


def _times(row: dict) -> str:
    """0.89 times as far [0.86, 0.92]; more than 22 times as far."""
    if row["horizon_kind"] != "ratio":
        return f"{row['horizon_kind']} {number(row['horizon_ratio'])} times as far"
    interval = between(row["horizon_low"], row["horizon_high"], int(row["horizon_n"]), 3)
    return f"{number(row['horizon_ratio'], 3)} times as far{interval}"


def statuses(frames: Frames) -> list[str]:
    """How many points have a result, and where the others are."""
    total, fine = len(frames.runs), len(frames.fine)
    if not total:
        return []
    if total == fine:
        return [f"{'The one point is' if total == 1 else f'All {total:,} points are'} ok."]
    bad = frames.runs[frames.runs["status"] != "ok"]
    parts = [
        f"{plural(len(rows), 'point')} {_status(str(status))} ({_where(rows)})"
        for status, rows in sorted(
            bad.groupby("status"), key=lambda pair: coverage.STATUSES.index(str(pair[0]))
        )
    ]
    return [f"{fine:,} of {plural(total, 'point')} {'is' if fine == 1 else 'are'} ok; {listing(parts)}."]


def _where(rows: pd.DataFrame) -> str:
    """The variants of these points: their names, or how many they are."""
    labels = present(rows)
    return "; ".join(labels) if len(labels) <= 4 else f"in {len(labels)} variants"


def _status(status: str) -> str:
    words = {
        "no_signal": "without a signal",
        "error": "failed",
        "missing": "not there yet",
        "overflow": "out of range",
    }
    return words.get(status, status)


FINDINGS: tuple[tuple[str, str, Callable[[Frames], list[str]]], ...] = (
    ("Reach", "horizons", reach),
    ("What a change does", "compare", changes),
    ("The bound", "bound_gap", looseness),
    ("Realised γ", "gammas", realised),
    ("Calibration", "gammas", calibrated),
    ("Path and Lyapunov γ", "gammas", four),
    ("Mean field", "mean_field", wide),
    ("Growth", "phase_map", growth),
    ("Lyapunov exponents", "lyapunov", chaos),
    ("Directions", "singular_values", squeezed),
    ("Truncation", "truncation", windows),
    ("Gates", "lag_curves", gates),
    ("Length", "gradient_growth", with_length),
    ("Capacity", "saturation", closing),
    ("One curve", "all_pairs", one_curve),
    ("Gate times", "gates", gate_times),
    ("Memory", "memory_function", remembered),
    ("Sensitivity", "sensitivity", sensitive),
    ("Points", "coverage", statuses),
)
"""The matter, the section of a report that shows it, and who speaks of it."""
