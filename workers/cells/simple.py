"""The simple recurrent network of Elman (1990): h_t = f(z_t), z_t = U h_{t−1} + W x_t + b."""

from typing import Any

import numpy as np

from .. import aligned
from ..products import outer
from ..weights import input_weights, recurrent
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights


class Simple(Cell):
    """f is tanh, logistic, relu or identity; γ = σ_1(U)·γ_f with γ_f = sup f', and γ^ℓ is a bound.

    Also called vanilla or Elman network; not to be confused with Jordan's, which feeds back the output.
    """

    name = "simple"
    label = "simple"
    gates = ("z",)
    parameters = ("activation", "weights")
    arrays = ("U", "W", "b")
    gamma_kinds = ("nominal", "gain", "radius", "realised")
    knob_kind = "gain"
    bounded = ("adjoint", "delta")
    spare = 1  # f'(z)
    over = True

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        U = recurrent(point.seed, str(point.weights), N, point.gamma_kind, point.gamma, self.f.slope)
        return {"U": U, "W": input_weights(point.seed, N, point.input_size), "b": np.zeros(N)}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return float(np.linalg.norm(arrays["U"], 2)) * self.f.slope

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        w.net(row, z[:1])
        value = aligned.scratch("value", z[0])  # ``after`` is not contiguous
        self.f.both(z[0], value, z[1])
        after[0] = value

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        return self.f.factor(steps.net[:, 0], steps.net[:, 1])

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        D, shift = local
        np.multiply(adjoint, D[:, None], out=delta)
        w.pull(delta, back[0])
        return Lacking(shift, shift)

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        return matrix_gradients(chunk)

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return self.f, steps.net[:, 0]


def matrix_gradients(chunk: Chunk) -> dict[str, Array]:
    """∂L/∂U = Σ δ_k h_{k−1}ᵀ, ∂L/∂W = Σ δ_k x_kᵀ, ∂L/∂b = Σ δ_k over the chunk."""
    G, P, C, B, N = chunk.delta.shape
    sums = outer(chunk.delta.reshape(G, P, C * B, N), chunk.right())  # the three sums are one product
    return {"U": sums[..., :N], "W": sums[..., N:-1], "b": sums[..., -1]}
