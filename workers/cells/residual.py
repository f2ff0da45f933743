"""The residual or leaky network: h_t = (1 − leak) h_{t−1} + leak·f(z_t), z_t = U h_{t−1} + W x_t + b."""

from typing import Any

import numpy as np

from .. import aligned
from ..errors import Unreachable
from ..weights import input_weights, recurrent
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights
from .simple import matrix_gradients


class Residual(Cell):
    """Leaky integration (Jaeger et al. 2007): γ = (1 − leak) + leak·σ_1(U)·γ_f, a bound on the adjoint only.

    With leak = 1 it is the simple network. Below 1 − leak no U gives that nominal γ.
    """

    name = "residual"
    label = "residual"
    gates = ("z",)
    parameters = ("activation", "weights", "leak")
    arrays = ("U", "W", "b")
    gamma_kinds = ("nominal", "gain", "radius", "realised")
    knob_kind = "gain"
    bounded = ("adjoint",)
    spare = 1  # f'(z)

    def draw(self, point: Knobs) -> dict[str, Any]:
        N, gamma, leak = point.hidden_size, point.gamma, float(point.leak or 0.0)
        if point.gamma_kind == "nominal":
            if gamma < 1 - leak:
                raise Unreachable(
                    f"gamma = {gamma:g}: a residual cell with leak = {leak:g} has gamma = (1 − leak) + "
                    f"leak·σ_1(U)·γ_f; give at least {1 - leak:g}, or a larger leak"
                )
            gamma = (gamma - (1 - leak)) / leak
        U = recurrent(point.seed, str(point.weights), N, point.gamma_kind, gamma, self.f.slope)
        return {"U": U, "W": input_weights(point.seed, N, point.input_size), "b": np.zeros(N)}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        share = float(leak or 0.0)
        return (1 - share) + share * float(np.linalg.norm(arrays["U"], 2)) * self.f.slope

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        assert w.leak is not None
        w.net(row, z[:1])
        value = aligned.scratch("value", z[0])
        self.f.both(z[0], value, z[1])
        value *= w.leak
        np.multiply(before[0], 1 - w.leak, out=after[0])
        after[0] += value

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        assert w.leak is not None
        D, shift = self.f.factor(steps.net[:, 0], steps.net[:, 1])
        return D * w.leak, shift

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        assert w.leak is not None
        D, shift = local
        np.multiply(adjoint, D[:, None], out=delta)
        w.pull(delta, back[0])
        if shift is not None:
            np.ldexp(back, shift[:, None, :, None], out=back)
        back += adjoint * (1 - w.leak[:, None])
        return Lacking(shift)

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        return matrix_gradients(chunk)

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return self.f, steps.net[:, 0]
