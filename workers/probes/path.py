"""γ_path = exp⟨ln σ_1(J_t)⟩_t: the largest growth that each step's Jacobian allows, as if directions lined up."""

import numpy as np

from ..jacobian import jacobians, singular_values
from .base import Column, Probe, Sizes, Swept, Values, Work
from .window import window


def measure(swept: Swept) -> Values:
    """Mean over the window's steps and the first columns of ln σ_1(J_t), by exact singular values.

    On the same window γ_Lyapunov ≤ γ_path for every cell; γ_path ≤ γ_nominal only where γ^ℓ is a bound.
    """
    P, T = swept.stack.inputs.shape[:2]
    first, last = window(T)
    total = np.zeros((P, swept.columns))
    for t, J, ln_scale in jacobians(swept.stack, swept.tape, swept.columns):
        if t < first:
            break
        if t <= last:
            total += np.log(singular_values(J)[..., 0]) + ln_scale
    mean = np.ascontiguousarray(total).mean(axis=-1) / (last - first + 1)
    return {"gamma_path": np.exp(mean)}


def _cost(s: Sizes) -> Work:
    down = s.down(s.S, s.columns)
    held = 8.0 * s.columns * s.S * s.S * (6 + 2 * s.G / s.components)
    return Work(down.flops, down.elements, 3 * s.T, 0.6 * s.T * s.columns * (1 if s.recurrent else 0.3), held)


PATH = Probe(
    "path",
    "γ_path: the mean largest singular value of the steps' Jacobians",
    (
        Column(
            "gamma_path",
            "float64",
            "1/lag",
            "exp of the mean of ln σ_1(∂s_t/∂s_{t−1}) over steps and the first columns",
            "Pascanu, Mikolov & Bengio 2013",
        ),
    ),
    measure,
    cost=_cost,
)
