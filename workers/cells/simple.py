"""The simple recurrent network of Elman (1990): h_t = f(z_t), z_t = U h_{t−1} + W x_t + b."""

from typing import Any

import numpy as np

from ..weights import input_weights, recurrent
from .base import Array, Back, Cell, Chunk, Knobs, Weights, outer


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

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        U = recurrent(point.seed, str(point.weights), N, point.gamma_kind, point.gamma, self.f.slope)
        return {"U": U, "W": input_weights(point.seed, N, point.input_size), "b": np.zeros(N)}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return float(np.linalg.norm(arrays["U"], 2)) * self.f.slope

    def step(self, w: Weights, z: Array, before: Array, after: Array) -> None:
        z[:1] += w.recur(before[0])
        self.f.both(z[0], after[0], z[1])

    def local(self, w: Weights, z: Array, before: Array, after: Array) -> tuple[Any, ...]:
        return self.f.factor(z[:, 0], z[:, 1])

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Back:
        D, shift = local
        np.multiply(adjoint, D[:, None], out=delta)
        w.pull(delta, back[0])
        return Back(delta, back, shift, shift)

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        return matrix_gradients(chunk)

    def squashed(self, z: Array, after: Array) -> tuple[Any, Array]:
        return self.f, z[:, 0]


def matrix_gradients(chunk: Chunk) -> dict[str, Array]:
    """∂L/∂U = Σ δ_k h_{k−1}ᵀ, ∂L/∂W = Σ δ_k x_kᵀ, ∂L/∂b = Σ δ_k over the chunk."""
    G, P, C, B, N = chunk.delta.shape
    delta, M = chunk.delta.reshape(G, P, C * B, N), chunk.drive.shape[-1]
    right = np.empty((P, C, B, N + M + 1), delta.dtype)  # h, x and 1: the three sums are one product
    right[..., :N], right[..., N:-1], right[..., -1] = chunk.before[0].swapaxes(0, 1), chunk.drive, 1
    sums = outer(delta, right.reshape(P, C * B, -1))
    return {"U": sums[..., :N], "W": sums[..., N:-1], "b": sums[..., -1]}
