"""Cell variants: what of a study is a variant, and what people of the field call it.

A variant is one combination of every parameter that varies in the study but γ, the length and the seed. Nothing is
ever averaged over variants, γ or lengths; only over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..workers.cells import CELLS
from ..workers.points import PARAMETERS
from .text import exact, short

GROUP = ("variant", "gamma", "length")
"""What every table is grouped by: the axes of a study except the seed."""

_APART = ("gamma", "length", "seed", "target")  # the loss settles its target

_NAMES: dict[str, Callable[[Any], str]] = {
    "layer": lambda v: f"layer {v}",
    "activation": lambda v: f"g = {_activation(v)}",
    "gamma_kind": lambda v: {"nominal": "γ the norm", "gain": "γ the gain", "radius": "γ the radius"}.get(
        v, f"γ {v}"
    ),
    "weights": lambda v: "Gaussian U" if v == "gaussian" else f"{v} U",
    "hidden_size": lambda v: f"N = {v:.0f}",
    "input_size": lambda v: f"M = {v:.0f}",
    "output_size": lambda v: f"K = {v:.0f}",
    "batch_size": lambda v: f"B = {v:.0f}",
    "input": lambda v: "Gaussian input" if v == "gaussian" else "no input" if v == "zero" else f"{v} input",
    "input_scale": lambda v: f"input sd {exact(v)}",
    "loss": lambda v: "cross-entropy" if v == "cross_entropy" else f"{v} loss",
    "loss_times": lambda v: {"last": "loss at the end", "every": "loss at every step"}.get(
        v, f"loss at {v} steps"
    ),
    "leak": lambda v: f"leak {exact(v)}",
    "recurrent_gain": lambda v: f"recurrent gain {exact(v)}",
    "gate_bias": lambda v: f"gate bias {exact(v)}",
    "reset": lambda v: f"reset {v}",
    "gate_init": lambda v: f"{v} gates",
    "gradient": lambda v: f"{v} gradient",
    "rho_min": lambda v: f"ρ from {exact(v)} γ",
    "dtype": str,
}

_KNOBS = {
    "linear": "with a loop weight of {}",
    "memory": "with a loop weight of {}",
    "lstm_1997": "with a carousel weight of {}",
    "lstm": "with its forget gate at {}",
    "lstm_peephole": "with its forget gate at {}",
    "gru": "with its keep gate at {}",
    "mingru": "with its keep gate at {}",
}
_CHRONO = {cell: knob.replace("its ", "its largest ") for cell, knob in _KNOBS.items() if "gate" in knob}


@dataclass(frozen=True)
class Variant:
    """One cell variant. ``label`` for legends, ``noun`` for sentences; ``bounded``: γ^ℓ is a theorem for its
    adjoint curve; ``gated``: it has a forget or keep gate, whose product stands beside the curve."""

    label: str
    noun: str
    cell: str
    gamma_kind: str
    bounded: bool
    gated: bool
    default_gamma: float
    values: Mapping[str, Any]

    @property
    def gamma_is(self) -> str:
        """What γ is of this variant: variants of which it is one thing can share an axis of γ."""
        if self.gamma_kind == "realised":
            return "realised"
        return "a gate" if self.gated else "a norm or a weight"

    def at(self, gamma: float) -> str:
        """Where γ stands, in the cell's own words: ``at nominal γ = 1``, ``with its forget gate at 0.99``."""
        if self.gamma_kind in ("gain", "radius"):
            return f"at {'gain' if self.gamma_kind == 'gain' else 'spectral radius'} γ = {short(gamma)}"
        if self.gamma_kind == "realised":
            return f"at realised γ = {short(gamma)}"
        knobs = _CHRONO if self.values.get("gate_init") == "chrono" else _KNOBS
        return knobs.get(self.cell, "at nominal γ = {}").format(short(gamma))


def varying(runs: pd.DataFrame) -> tuple[str, ...]:
    """The study's axes: every parameter with more than one value, in the order of PARAMETERS."""
    present = [name for name in PARAMETERS if name in runs]
    return tuple(name for name in present if runs[name].nunique(dropna=False) > 1)


def variants(runs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Variant]]:
    """The runs with a column ``variant`` (ordered categories), and the variants by label in that order."""
    others = ("layer",) if "layer" in runs else varying(runs)  # a layer of a network is a variant by itself
    axes = ["cell", *(a for a in others if a not in (*_APART, "cell"))]
    axes += [a for a in ("activation", "gamma_kind", "gate_init") if a in runs and a not in axes]
    codes = runs.groupby(axes, dropna=False, observed=True, sort=False).ngroup()
    firsts = runs.loc[~codes.duplicated(), axes].assign(_code=codes[~codes.duplicated()])
    rows = sorted(firsts.to_dict("records"), key=lambda row: [_place(name, row[name]) for name in axes])
    shown = _axes_by_cell(firsts, axes)
    found = {row["_code"]: _variant(row, shown[row["cell"]]) for row in rows}
    order = [found[row["_code"]].label for row in rows]
    label = codes.map({code: variant.label for code, variant in found.items()})
    marked = runs.assign(variant=pd.Categorical(label, categories=order, ordered=True))
    return marked, {variant.label: variant for variant in found.values()}


def _axes_by_cell(firsts: pd.DataFrame, axes: list[str]) -> dict[str, list[str]]:
    """What varies within a cell is in the names of its variants; what only tells cells apart is not."""
    rest = [a for a in axes if a != "cell"]
    by_cell = firsts.groupby("cell", observed=True)
    return {str(cell): [a for a in rest if part[a].nunique(dropna=False) > 1] for cell, part in by_cell}


def _variant(row: Mapping[Hashable, Any], shown: list[str]) -> Variant:
    cell = str(row["cell"])
    kind = CELLS.get(cell)
    name = kind.label if kind else cell
    values = {str(k): None if _absent(v) else v for k, v in row.items() if k != "_code"}
    f = values.get("activation")
    squashed = kind is not None and "activation" in kind.parameters and "U" in kind.arrays
    if squashed and f is not None:
        name = f"{name} {_activation(f)}"
    extras = [a for a in shown if not (a == "activation" and squashed) and values.get(a) is not None]
    spoken = {a: _NAMES.get(a, lambda v, a=a: f"{a} = {v}")(values[a]) for a in extras}
    if values.get("gamma_kind") == "nominal" and not squashed:
        spoken = {
            a: "γ nominal" if a == "gamma_kind" else text for a, text in spoken.items()
        }  # no norm there
    details = ", ".join(spoken.values())
    noun = f"{name} network" if squashed else name
    return Variant(
        label=f"{name}, {details}" if details else name,
        noun=f"{noun} ({details})" if details else noun,
        cell=cell,
        gamma_kind=str(values.get("gamma_kind") or "nominal"),
        bounded=kind is not None and "adjoint" in kind.bounded,
        gated=kind is not None and kind.keep_gate is not None,
        default_gamma=kind.default_gamma if kind else 1.0,
        values=values,
    )


def _activation(name: str) -> str:
    return "ReLU" if name == "relu" else str(name)


def _place(name: str, value: Any) -> tuple[int, float, str]:
    """Sort key: cells in the registry's order, choices in their parameter's, numbers by size, absent ones first."""
    if _absent(value):
        return (0, 0.0, "")
    if name == "layer":
        number, _, reverse = str(value).partition(" ")
        return (1, float(number), reverse)
    choices = tuple(CELLS) if name == "cell" else PARAMETERS[name].choices
    if choices and value in choices:
        return (1, float(choices.index(value)), "")
    return (2, float(value), "") if isinstance(value, int | float) else (3, 0.0, str(value))


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or value is pd.NA


def present(table: pd.DataFrame) -> list[str]:
    """Labels of the variants that a table has rows of, in their order."""
    return [str(label) for label in table["variant"].cat.remove_unused_categories().cat.categories]


def headline_gamma(variant: Variant, gammas: pd.Series) -> float:
    """The γ of the study nearest to the cell's own default: 1, and 0.99 for gated cells."""
    known = gammas.dropna().drop_duplicates()
    return float(known.iloc[(known - variant.default_gamma).abs().to_numpy().argmin()])


def pick(values: pd.Series, count: int, must: float) -> list[float]:
    """At most ``count`` of the values, ascending and evenly spread over their ranks; ``must`` is among them."""
    known = sorted(values.dropna().unique())
    if len(known) <= count:
        return [float(v) for v in known]
    ranks = {round(i * (len(known) - 1) / (count - 1)) for i in range(count)}
    wanted = min(range(len(known)), key=lambda i: abs(known[i] - must))
    if wanted not in ranks:
        inner = [r for r in ranks if r not in (0, len(known) - 1)]
        ranks = ranks - ({min(inner, key=lambda r: abs(r - wanted))} if inner else set()) | {wanted}
    return [float(known[r]) for r in sorted(ranks)]
