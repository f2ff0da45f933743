"""The linear self-loop: h_t = a h_{t−1} + W g(x_t). With a = 1 its error term is constant."""

from typing import Any

import numpy as np

from ..activations import ACTIVATIONS
from ..products import outer
from ..weights import input_weights
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights


class Linear(Cell):
    """U = a·I and f' = 1: the second remedy. γ = a, and γ^ℓ is exact for every lag.

    The net input is z_t = W g(x_t), the quantity added to the state. The error term does not vanish at a = 1,
    yet ∂L/∂W = Σ δ g(x_k)ᵀ still grows with T.
    """

    name = "linear"
    label = "linear loop"
    gates = ("z",)
    parameters = ("activation",)
    arrays = ("a", "W")
    recurrent = ("a",)
    bounded = ("adjoint", "delta")
    augmented = False
    same = True
    commutes = True

    def draw(self, point: Knobs) -> dict[str, Any]:
        W = input_weights(point.seed, point.hidden_size, point.input_size)
        return {"a": np.float64(point.gamma), "W": W}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return abs(float(arrays["a"]))

    def drive(self, x: Array) -> Array:
        return self.f.value(x)

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        assert w.a is not None
        np.multiply(before[0], w.a, out=after[0])
        after[0] += z[0]

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        assert w.lift is not None
        lift = w.lift[:, None]
        return (np.broadcast_to(lift, (steps.stop - steps.start, *lift.shape)),)

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        assert w.a is not None
        if delta is not adjoint:
            np.copyto(delta, adjoint)
        np.multiply(adjoint, w.a[:, None], out=back)
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        _, P, C, B, N = chunk.delta.shape
        M, lift, rows = chunk.drive.shape[-1], chunk.local[0][0, :, 0], chunk.rows
        if rows is None:
            rows = np.concatenate([chunk.drive, chunk.before[0].swapaxes(0, 1)], axis=-1)
        right = rows.transpose(0, 3, 1, 2).reshape(P, 2 * M, C * B)  # as the tape has it
        sums = outer(right.swapaxes(1, 2)[None], chunk.delta.reshape(P, C * B, N))
        around = np.vecdot(sums[:, M:].reshape(P, M * N), lift.reshape(P, M * N))
        return {"a": around, "W": sums[:, :M].swapaxes(1, 2)}

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["identity"], steps.states[1:, 0]
