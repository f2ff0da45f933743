"""The summary after a run: for every cell variant and γ the horizon and the decay rate, under those of the bound.

Variants are rows and γ are columns, so that one look along a row shows where the gradient ceases to vanish. The
intervals over seeds, the shorter lengths and the figures are in the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .screen import Line, aligned

if TYPE_CHECKING:
    import pandas as pd

    from .analysis.load import Frames

_MOST_VARIANTS = 24
"""What is beyond is left to the report."""

_Cells = Mapping[tuple[str, float], str]
"""What is shown for a variant at a γ."""
_Rates = Mapping[tuple[str, float], float | str]


@dataclass(frozen=True)
class _Block:
    """Variants that have the same γ, the same greatest length T and the same bound."""

    length: int
    gammas: tuple[float, ...]
    nominal: tuple[float, ...]
    """γ_nominal at each γ."""
    variants: tuple[str, ...]


def summary(runs: pd.DataFrame, width: int) -> list[Line]:
    """The summary of a study's runs (one row a point, as ``Client.runs`` has them) in so many columns."""
    from .analysis.load import Frames

    if runs.empty:
        return [Line("no point is finished yet")]
    frames = Frames.of(runs)
    horizons, rates = _horizons(frames), _rates(frames)
    lines: list[Line] = []
    for block in _blocks(frames):
        lines += [*_block(frames, block, horizons, rates, width), Line()]
    return [*lines, *statuses(frames)]


def statuses(frames: Frames) -> list[Line]:
    """How many points have which status, and why those that are not ok are not."""
    from .analysis import coverage

    found = frames.runs["status"].value_counts()
    order = dict.fromkeys(s for s in ("ok", *found.index) if s in found)
    lines = [Line("status  " + ", ".join(f"{found[s]:,} {s}" for s in order), "bold")]
    for row in coverage.details(frames, most=6).to_dict("records"):
        where = f"{row['variant']}, γ = {_listed(row['gammas'])}, T = {_listed(row['lengths'])}"
        style = "red" if row["status"] == "error" else "yellow"
        lines.append(Line(f"  {row['points']:,} {row['status']}: {where}: {row['example']}", style))
    return lines


def _blocks(frames: Frames) -> list[_Block]:
    from .analysis.load import longest
    from .analysis.variants import GROUP

    runs = longest(frames.runs)
    nominal = runs["gamma_nominal"].astype("float64") if "gamma_nominal" in runs else runs["gamma"]
    rows = runs[list(GROUP)].assign(nominal=nominal).groupby(list(GROUP), observed=True)["nominal"].mean()
    found: dict[tuple[int, tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for label, part in rows.reset_index().groupby("variant", observed=True):
        gammas, own = tuple(part["gamma"]), tuple(part["nominal"])
        same = all(
            math.isnan(n) or math.isclose(n, g, rel_tol=1e-6) for n, g in zip(own, gammas, strict=True)
        )
        key = (int(part["length"].iloc[0]), gammas, gammas if same else own)
        found.setdefault(key, []).append(str(label))
    return [_Block(*key, tuple(labels)) for key, labels in found.items()]


def _block(frames: Frames, block: _Block, horizons: _Cells, rates: _Rates, width: int) -> Iterator[Line]:
    from .analysis.text import plural

    shown = block.variants[:_MOST_VARIANTS]
    bounds = {frames.variants[label].bounded for label in shown}
    name = "bound γ^ℓ" if True in bounds else "reference γ^ℓ"
    seeds = frames.runs.loc[frames.runs["variant"].isin(shown), "seed"].nunique()

    def rows(gammas: Sequence[float]) -> list[list[str]]:
        at = [dict(zip(block.gammas, block.nominal, strict=True))[g] for g in gammas]
        return [
            ["γ", *_short(gammas)],
            [name, *map(_bound_horizon, at)],
            *([label, *(horizons.get((label, g), "") for g in gammas)] for label in shown),
            [name, *(_rate(_ln(n), n) for n in at)],
            *(
                [label, *(_rate(rates.get((label, g), ""), n) for g, n in zip(gammas, at, strict=True))]
                for label in shown
            ),
        ]

    gammas, text = _fitted(frames, block, rows, width)
    head, (first, *one), (second, *two) = text[0], text[1 : len(shown) + 2], text[len(shown) + 2 :]
    yield Line(f"T = {block.length}" + (f", over {plural(seeds, 'seed')}" if seeds > 1 else ""), "bold")
    yield Line(head, "bold")
    yield Line("horizon: lags until 1 % of the adjoint is left", "italic")
    yield Line(first, "cyan")
    yield from map(Line, one)
    yield Line("decay rate: slope of ln ‖adjoint‖ by lag", "italic")
    yield Line(second, "cyan")
    yield from map(Line, two)
    for remark in _remarks(frames, block, shown, gammas, " ".join([*one, *two])):
        yield Line(remark, "dim")


def _fitted(frames: Frames, block: _Block, rows: Any, width: int) -> tuple[list[float], list[str]]:
    """The γ whose columns fit, evenly chosen with the cell's own default among them, and the aligned rows."""
    import pandas as pd

    from .analysis.variants import headline_gamma, pick

    values, variant = pd.Series(block.gammas), frames.variants[block.variants[0]]
    must = headline_gamma(variant, values)
    for count in range(min(len(values), width // 2), 1, -1):  # a column takes a character and a space
        gammas = pick(values, count, must)
        text = aligned(rows(gammas), right=range(1, count + 1), gap=" ")
        if max(map(len, text)) <= width:
            return gammas, text
    return [must], aligned(rows([must]), right=(1,), gap=" ")


def _remarks(
    frames: Frames, block: _Block, shown: Sequence[str], gammas: Sequence[float], text: str
) -> Iterator[str]:
    from .analysis.phase import LETTERS
    from .analysis.text import listing

    loose = [label for label in shown if not frames.variants[label].bounded]
    if loose and len(loose) < len(shown):
        yield f"for {listing(loose)} γ^ℓ is a reference, no bound"
    if "~" in text:
        yield "~ median: some seeds never fall so far"
    used = [f"{letter} = {status}" for status, letter in LETTERS.items() if f" {letter} " in f"{text} "]
    if used:
        yield ", ".join(used)
    if len(gammas) < len(block.gammas):
        yield f"{len(gammas)} of {len(block.gammas)} γ: all are in the report"
    if len(shown) < len(block.variants):
        yield f"{len(shown)} of {len(block.variants)} cell variants: all are in the report"


def _horizons(frames: Frames) -> _Cells:
    from .analysis import horizon
    from .analysis.load import longest
    from .analysis.text import lags

    cells = _marks(frames)
    table = horizon.table(frames)
    for row in longest(table[table["level"] == "horizon_1"]).to_dict("records"):
        if row["kind"] == "lower limit":
            cells[row["variant"], row["gamma"]] = f">{row['limit']:.0f}"
        elif row["kind"] != "none":
            cells[row["variant"], row["gamma"]] = ("~" if row["kind"] == "median" else "") + lags(
                row["centre"]
            )
    return cells


def _rates(frames: Frames) -> _Rates:
    from .analysis import decay
    from .analysis.load import longest

    cells: dict[tuple[str, float], float | str] = {**_marks(frames)}
    for row in longest(decay.table(frames)).to_dict("records"):
        if not math.isnan(row.get("decay_rate", math.nan)):
            cells[row["variant"], row["gamma"]] = row["decay_rate"]
    return cells


def _marks(frames: Frames) -> dict[tuple[str, float], str]:
    """What stands where there is no number: the letter of the points' status."""
    from .analysis import phase
    from .analysis.load import longest

    rows = longest(phase.table(frames)).to_dict("records")
    return {(row["variant"], row["gamma"]): phase.mark(row) or "–" for row in rows}


def _short(gammas: Sequence[float]) -> list[str]:
    """γ with as few digits as tell them apart, at least four."""
    texts = ([f"{gamma:.{digits}g}" for gamma in gammas] for digits in range(4, 18))
    return next(text for text in texts if len(set(text)) == len(gammas))


def _listed(values: str) -> str:
    """``0.1, 0.2, 0.3``, or ``0.1 … 0.7 (21 values)`` where they are many."""
    several = values.split(", ")
    return values if len(several) < 7 else f"{several[0]} … {several[-1]} ({len(several)} values)"


def _rate(value: float | str, nominal: float) -> str:
    """A rate to two decimals, or three in the columns where γ is near 1, without a zero before the point."""
    from .analysis.text import fixed

    if isinstance(value, str):
        return value
    text = fixed(value, 3 if abs(_ln(nominal)) < 0.15 and abs(value) < 0.9995 else 2)
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def _bound_horizon(nominal: float) -> str:
    from .analysis.text import lags

    if math.isnan(nominal):
        return "–"
    if nominal >= 1:
        return "∞"
    return lags(math.log(0.01) / math.log(nominal) if nominal > 0 else 1.0)


def _ln(nominal: float) -> float:
    return math.log(nominal) if nominal > 0 else -math.inf if nominal == 0 else math.nan
