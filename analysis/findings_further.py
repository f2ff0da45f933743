"""What the data say of probes that are measured by request: four γ, mean field, spectra, truncation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import decay, lyapunov, mean_field, singular_values, truncation
from .load import Frames, longest
from .mean_field import with_interval
from .sentences import MOST, at_headline, together
from .text import between, fixed, listing, number, short
from .variants import present

_FOUR = {"gamma_path": "path", "gamma_lyapunov": "Lyapunov", "gamma_realised": "realised"}


def four(frames: Frames) -> list[str]:
    """At nominal γ = 1 the simple tanh network has a path γ of 0.98 (Lyapunov 0.65, realised 0.65)."""
    if not (frames.has("gamma_path") or frames.has("gamma_lyapunov")):
        return []
    table = longest(decay.table(frames))
    there = [name for name in _FOUR if name in table]
    rows = [r for r in at_headline(frames, table) if all(np.isfinite(r[2][name]) for name in there)]
    first = there[0]
    said = [(v, g, _beside(row, there)) for v, g, row in rows]
    name = f"a {_FOUR[first]} γ of "
    texts = together(said, [row[first] for _, _, row in rows], (f"has {name}", f"have {name}"), "one of ")
    return texts + _agreement(frames, table)


def _beside(row: dict, there: list[str]) -> str:
    """The first γ, and the others in brackets behind it."""
    first, *others = (with_interval(row, name) for name in there)
    named = [f"{_FOUR[name]} {text}" for name, text in zip(there[1:], others, strict=True)]
    return f"{first} ({', '.join(named)})" if named else first


def _agreement(frames: Frames, table: pd.DataFrame) -> list[str]:
    """How far realised and Lyapunov γ are apart over every variant and γ, and where most."""
    if not {"gamma_realised", "gamma_lyapunov"} <= set(table):
        return []
    away = (table["gamma_realised"] / table["gamma_lyapunov"] - 1).abs()
    both = table.assign(away=away)[np.isfinite(away)].sort_values("away")
    if len(both) < 2:
        return []
    most = both.iloc[-1]
    variant = frames.variants[str(most["variant"])]
    middle, far = (_percent(value) for value in (both["away"].median(), most["away"]))
    text = (
        f"Over {len(both)} variants and γ the realised γ is within {middle} of the Lyapunov γ at the median, and "
        f"farthest from it, by {far}, in the {variant.noun} {variant.at(float(most['gamma']))}."
    )
    return [text]


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def wide(frames: Frames) -> list[str]:
    """Where mean field puts the critical γ, and how far the measured growth is from it."""
    table = mean_field.table(frames)
    if table.empty:
        return []
    laws = mean_field.laws(frames)
    alike: dict[str, list[str]] = {}
    for label in list(laws)[:MOST]:
        alike.setdefault(fixed(laws[label].critical, 3), []).append(f"the {frames.variants[label].noun}")
    parts = [f"{value} in {listing(nouns)}" for value, nouns in alike.items()]
    texts = [f"Mean field puts the critical γ at {listing(parts)}."] if parts else []
    if "ln_realised_ratio" not in table:
        return texts
    rows = [r for r in at_headline(frames, table) if np.isfinite(r[2]["ln_realised_ratio"])]
    said = [(v, g, _off(row)) for v, g, row in rows]
    sizes = [row["ln_realised_ratio"] for _, _, row in rows]
    return texts + together(said, sizes, ("has a realised γ ", "have a realised γ "), "one ")


def _off(row: dict) -> str:
    """1.2 % above mean field [−0.8 %, 3.1 %] (0.759 against 0.751)."""
    away, low, high = (100 * np.expm1(row[f"ln_realised_ratio{end}"]) for end in ("", "_low", "_high"))
    n = int(row["n_ln_realised_ratio"])
    both = f"{fixed(row['gamma_realised'], 3)} against {fixed(row['gamma_mean_field'], 3)}"
    interval = between(low, high, n) if n == 1 or np.isnan(low) else f" [{fixed(low, 1)}, {fixed(high, 1)}]"
    if abs(away) < 0.05:
        return f"as mean field has it{interval} ({both})"
    return f"{fixed(abs(away), 1)} % {'above' if away > 0 else 'below'} mean field{interval} ({both})"


def chaos(frames: Frames) -> list[str]:
    """From which γ on the largest Lyapunov exponent is positive, and the dimension there."""
    table = lyapunov.table(frames)
    if table.empty:
        return []
    table = longest(table)
    grows = table[(table["low"] > 0) | ((table["n"] == 1) & (table["exponent"] > 0))]
    open_ = [v for v in present(table[table["exponent"] > 0]) if v not in present(grows)]
    parts = []
    for label in present(grows)[:MOST]:
        part = grows[grows["variant"] == label].sort_values("exponent")
        top = part.iloc[-1].to_dict()
        variant = frames.variants[label]
        parts.append(
            f"the {variant.noun} from γ = {short(part['gamma'].min())} (λ_1 = {lyapunov.exponent_text(top)} and a "
            f"Kaplan–Yorke dimension of {lyapunov.dimension_text(top)} at γ = {short(top['gamma'])})"
        )
    texts = [f"The largest Lyapunov exponent is positive in {listing(parts)}."] if parts else []
    if open_:
        nouns = listing([f"the {frames.variants[v].noun}" for v in open_[:MOST]])
        what = "it" if parts else "the largest Lyapunov exponent"
        texts.append(
            f"In {nouns} {what} is positive in the mean at some γ, but the interval over seeds includes zero."
        )
    return texts or ["No Lyapunov exponent is positive anywhere in this study: no direction grows."]


def squeezed(frames: Frames) -> list[str]:
    """Into how many directions the product of Jacobians squeezes the error by the last lag."""
    table = singular_values.table(frames)
    if table.empty:
        return []
    last = table[table["lag"] == table.groupby("variant", observed=True)["lag"].transform("max")]
    rows = [r for r in at_headline(frames, last) if np.isfinite(r[2]["rank"])]
    if not rows:
        return []
    lag = int(max(row["lag"] for _, _, row in rows))
    fan = singular_values.fan(frames)
    size = fan.groupby("variant", observed=True)["index"].max().to_dict() if len(fan) else {}
    said = []
    for variant, gamma, row in rows:
        of = f" of {int(size[variant.label])}" if variant.label in size else ""
        interval = between(row["rank_low"], row["rank_high"], int(row["n"]), 3)
        said.append((variant, gamma, f"{number(row['rank'], 3)}{interval}{of} directions"))
    verb = (f"has at lag {lag:,} an effective rank of ", f"have at lag {lag:,} an effective rank of ")
    return together(said, [row["rank"] for _, _, row in rows], verb, "one of ")


def windows(frames: Frames) -> list[str]:
    """Which window of truncated back-propagation holds 90 % of the gradient."""
    table = truncation.table(frames)
    if table.empty:
        return []
    rows = [r for r in at_headline(frames, table) if np.isfinite(r[2]["truncation_90"])]
    said = [(v, g, _window(row)) for v, g, row in rows]
    sizes = [row["truncation_90"] for _, _, row in rows]
    verb = ("needs for nine tenths of its gradient ", "need for nine tenths of their gradients ")
    return together(said, sizes, verb, ("needs ", "need "))


def _window(row: dict) -> str:
    text = truncation.window_text(row, "truncation_90")
    steps = f"{text} of {int(row['length']):,} steps"
    return steps.replace(" in every seed", "") + (" in every seed" if "in every seed" in text else "")
