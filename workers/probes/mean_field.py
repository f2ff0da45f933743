"""Mean-field theory beside the measurement: √χ, what the growth per step tends to for a wide simple network."""

import numpy as np

from ..cells import Cell
from ..theory import MeanField, mean_field
from .base import Column, Probe, Sizes, Swept, Values, Work

_SOURCE = "Sompolinsky, Crisanti & Sommers 1988; Schoenholz et al. 2017"


def measure(swept: Swept) -> Values:
    """Gain and input of each point's own arrays, and Δ, χ and √χ that follow; no trajectory is used."""
    fields = [_of(swept, p) for p in range(len(swept.stack.points))]
    return {
        "gamma_mean_field": np.array([field.gamma for field in fields]),
        "mean_field_chi": np.array([field.chi for field in fields]),
        "mean_field_variance": np.array([field.variance for field in fields]),
    }


def _of(swept: Swept, p: int) -> MeanField:
    point, w = swept.stack.points[p], swept.stack.weights
    assert w.U is not None
    assert w.b is not None
    arrays = {"U": w.U[0, p], "W": w.W[0, p], "b": w.b[0, p, 0]}
    inputs = swept.stack.inputs[p] if swept.own_inputs[p] else None
    field = mean_field(point, arrays, inputs)
    if point.activation == "tanh" and field.input_sd == 0 and (inputs is not None or point.input == "zero"):
        return MeanField(field.gain, 0.0, 0.0, field.gain**2)  # nothing ever leaves s = 0, stable or not
    return field


def _only_simple(cell: type[Cell]) -> str | None:
    if cell.name == "simple":
        return None
    return f"the mean field is that of h = f(U h + W x + b), which the {cell.name} cell is not"


def _cost(s: Sizes) -> Work:
    return Work(elements=1e5, bytes=16.0 * s.N * (s.N + s.M))


MEAN_FIELD = Probe(
    "mean_field",
    "mean-field theory of the simple cell for these weights and inputs: Δ, χ and √χ",
    (
        Column(
            "gamma_mean_field", "float64", "1/lag", "√χ: growth of the adjoint per step for N → ∞", _SOURCE
        ),
        Column("mean_field_chi", "float64", "", "χ = g² E[f'(√Δ ζ)²]; critical at 1", _SOURCE),
        Column(
            "mean_field_variance", "float64", "", "Δ, variance of the net input at the fixed point", _SOURCE
        ),
    ),
    measure,
    cost=_cost,
    lacking=_only_simple,
)
