"""Long short-term memory as it was in 1997: no forget gate (Hochreiter & Schmidhuber 1997)."""

from typing import Any

import numpy as np

from .. import aligned
from ..activations import ACTIVATIONS, logistic_both, tanh_both
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights
from .lstm import gated_arrays
from .simple import matrix_gradients


class LSTM1997(Cell):
    """i, o = σ(z); c_t = a c_{t−1} + i ⊙ tanh(z_c); h_t = o ⊙ tanh(c_t). State: h, then c.

    γ = a, the weight of the constant error carousel (1 in the paper), a reference and no bound. With gradient
    "truncated" error that arrives at a net input changes the weights and goes no further back in time, as in
    the paper's appendix: only the carousel carries it. "full" is the gradient itself.
    """

    name = "lstm_1997"
    label = "LSTM of 1997"
    gates = ("i", "o", "c")
    components = 2
    parameters = ("weights", "recurrent_gain", "gate_bias", "gradient")
    arrays = ("U", "W", "b", "a")
    recurrent = ("U", "a")
    logistic_gates = ("i", "o")
    extra = 1  # the adjoint of c_t, for ∂L/∂a
    spare = 4  # δ's factors Di, Do, Dc; ∂h/∂c

    def draw(self, point: Knobs) -> dict[str, Any]:
        N, bias = point.hidden_size, float(point.gate_bias or 0.0)
        return gated_arrays(point, np.repeat([bias, bias, 0.0], N)) | {"a": np.float64(point.gamma)}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return abs(float(arrays["a"]))

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        assert w.a is not None
        w.net(row, z[:3])
        gates, value = aligned.scratch("gates", z[:2]), aligned.scratch("value", z[2])
        i, o = gates
        logistic_both(z[:2], gates, z[3:5])
        tanh_both(z[2], value, z[5])
        z[3] *= value
        z[5] *= i
        np.multiply(before[1], w.a, out=after[1])
        i *= value
        after[1] += i
        tanh_both(after[1], after[0], z[6])
        z[4] *= after[0]
        z[6] *= o
        after[0] *= o

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        return tuple(steps.net[:, 3 + block] for block in range(4))

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        assert w.a is not None
        Di, Do, Dc, read = (factor[:, None] for factor in local)
        h, c = adjoint
        np.multiply(h, read, out=delta[3])
        delta[3] += c
        np.multiply(delta[3], Di, out=delta[0])
        np.multiply(h, Do, out=delta[1])
        np.multiply(delta[3], Dc, out=delta[2])
        if self.truncated:
            back[0] = 0.0
        else:
            w.pull(delta[:3], back[0])
        np.multiply(delta[3], w.a[:, None], out=back[1])
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        a = _carousel_gradient(chunk.delta[3], chunk.before[1])
        return matrix_gradients(chunk._replace(delta=chunk.delta[:3])) | {"a": a}

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["tanh"], steps.states[1:, 1]


def _carousel_gradient(delta: Array, before: Array) -> Array:
    """∂L/∂a = Σ λ·s_{k−1} over steps, columns and units: (P, C, B, N), (C, P, B, N) -> (P,)."""
    P, C = delta.shape[:2]
    left, right = delta.reshape(P, C, -1), np.ascontiguousarray(before).reshape(C, P, -1).swapaxes(0, 1)
    return np.ascontiguousarray(np.vecdot(left, right)).sum(axis=-1)
