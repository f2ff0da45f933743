"""The diagonal linear network in pairs of units: h_t = ρ R(θ) h_{t−1} + W x_t + b (LRU, Orvieto et al. 2023)."""

from typing import Any

import numpy as np

from .. import aligned
from ..activations import ACTIVATIONS
from ..products import outer, rows_to_columns, summed
from ..weights import angles, input_weights, ring
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights


class Diagonal(Cell):
    """Pair j, units 2j and 2j + 1, is turned by R(θ_j) = [[cos θ, −sin θ], [sin θ, cos θ]] and scaled by ρ_j.

    A pair is one complex eigenvalue ρ e^{iθ} in real numbers; θ = 0 gives two real ones. γ = max |ρ|, and
    γ^ℓ is a bound. ρ² is drawn uniform on [rho_min²·γ², γ²] with the largest ρ exactly γ, θ uniform on [0, 2π).
    The net input is W x + b, the quantity added to the state, so that δ = λ. hidden_size is even. No
    normalisation of the inputs by √(1 − ρ²), unlike the paper's.
    """

    name = "diagonal"
    label = "diagonal"
    gates = ("z",)
    parameters = ("rho_min",)
    arrays = ("rho", "theta", "W", "b")
    recurrent = ("rho", "theta")
    default_gamma = 0.99
    bounded = ("adjoint", "delta")
    augmented = False
    same = True
    together = 2

    def draw(self, point: Knobs) -> dict[str, Any]:
        N, seed = point.hidden_size, point.seed
        return {
            "rho": ring(seed, N // 2, float(point.rho_min or 0.0)) * point.gamma,
            "theta": angles(seed, N // 2),
            "W": input_weights(seed, N, point.input_size),
            "b": np.zeros(N),
        }

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return float(np.abs(arrays["rho"]).max())

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        assert w.turn is not None
        after[0] = _turned(before[0], *w.turn)
        after[0] += z[0]

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        assert w.turn is not None
        return tuple(np.broadcast_to(part, (steps.stop - steps.start, *part.shape)) for part in w.turn)

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        rho, cos, sin = (factor[:, None] for factor in local)
        if delta is not adjoint:
            np.copyto(delta, adjoint)
        np.copyto(back, _turned(adjoint, rho, cos, -sin))
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        _, P, C, B, N = chunk.delta.shape
        delta, h = chunk.delta.reshape(P, C * B, N), rows_to_columns(chunk.before[0])
        # pair by pair Σ δ·h, and Σ δ·h⊥ with h turned by a right angle
        along = summed(_pairs(delta * h)[None])
        across = summed(_pairs(delta * _turned(h, 1.0, 0.0, 1.0))[None])
        rho, cos, sin = (factor[0, :, 0] for factor in chunk.local)
        return {
            "rho": cos * along + sin * across,
            "theta": rho * (cos * across - sin * along),
            "W": outer(delta[None], chunk.drive.reshape(P, C * B, -1)),
            "b": summed(delta[None]),
        }

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["identity"], steps.states[1:, 0]


def _turned(h: Array, rho: Any, cos: Any, sin: Any) -> Array:
    """ρ R(θ) h for every pair of units, (…, N) -> (…, N)."""
    x, y = h[..., 0::2], h[..., 1::2]
    result = aligned.scratch("turned", h)
    result[..., 0::2] = (x * cos - y * sin) * rho
    result[..., 1::2] = (x * sin + y * cos) * rho
    return result


def _pairs(products: Array) -> Array:
    """The sum of both units of every pair: (…, N) -> (…, N/2)."""
    return products[..., 0::2] + products[..., 1::2]
