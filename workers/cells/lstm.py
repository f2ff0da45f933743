"""Long short-term memory with its forget gate (Gers, Schmidhuber & Cummins 2000)."""

from typing import Any, ClassVar

import numpy as np

from .. import aligned
from ..activations import ACTIVATIONS, logistic_both, tanh_both
from ..weights import blocks, input_weights
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights, geometric_gate, keep_bias
from .simple import matrix_gradients


class LSTM(Cell):
    """i, f, o = σ(z); c_t = f ⊙ c_{t−1} + i ⊙ tanh(z_c); h_t = o ⊙ tanh(c_t). State: h, then c.

    γ = σ(b_f), the forget gate at zero net input. With recurrent weights γ^ℓ is a reference, no bound: ∏ f is
    not the gradient. No peepholes here; blocks are ordered i, f, o, c (PyTorch: i, f, c, o). With gate_init
    "chrono" γ is the largest of the units' forget gates, and b_i = −b_f.
    """

    name = "lstm"
    label = "LSTM"
    gates = ("i", "f", "o", "c")
    logistic_gates = ("i", "f", "o")
    components = 2
    parameters = ("weights", "recurrent_gain", "gate_bias", "gate_init")
    arrays = ("U", "W", "b")
    default_gamma = 0.99
    keep_gate: ClassVar[int | None] = 1
    spare = 6  # δ's factors Di, Df, Do, Dc; f; ∂h/∂c

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        forget, bias = keep_bias(point, "forget"), np.full(N, float(point.gate_bias or 0.0))
        enter = -forget if point.gate_init == "chrono" else bias
        return gated_arrays(point, np.concatenate([enter, forget, bias, np.zeros(N)]))

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        N = arrays["U"].shape[1]
        return geometric_gate(arrays["b"][N : 2 * N])

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        w.net(row, z[:4])
        gates = aligned.scratch("gates", z[:3])
        logistic_both(z[:3], gates, z[4:7])
        enter(z, gates, before[1], after[1])
        leave(z, gates[2], after)

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        return tuple(steps.net[:, 4 + block] for block in range(6))

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        Di, Df, Do, Dc, f, read = (factor[:, None] for factor in local)
        h, c = adjoint[0], back[1]
        np.multiply(h, read, out=c)
        c += adjoint[1]
        np.multiply(c, Di, out=delta[0])
        np.multiply(c, Df, out=delta[1])
        np.multiply(h, Do, out=delta[2])
        np.multiply(c, Dc, out=delta[3])
        w.pull(delta, back[0])
        c *= f
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        return matrix_gradients(chunk)

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["tanh"], steps.states[1:, 1]


def enter(z: Array, gates: Array, before: Array, after: Array) -> None:
    """c_t = f ⊙ c_{t−1} + i ⊙ tanh(z_c) and the factors, from the gates i and f with their derivatives z[4:6]."""
    i, f, value = gates[0], gates[1], aligned.scratch("value", before)
    tanh_both(z[3], value, z[7])
    z[4] *= value
    z[5] *= before
    z[7] *= i
    z[8] = f
    np.multiply(f, before, out=after)
    i *= value
    after += i


def leave(z: Array, o: Array, after: Array) -> None:
    """h_t = o ⊙ tanh(c_t) and the factors, from the gate o with its derivative z[6]."""
    h, c = after
    tanh_both(c, h, z[9])
    z[6] *= h
    z[9] *= o
    h *= o


def gated_arrays(point: Knobs, bias: Array) -> dict[str, Any]:
    """U, W and b of a gated cell with G = len(bias)/N blocks; U's blocks are scaled by recurrent_gain."""
    N = point.hidden_size
    gain = 1.0 if point.recurrent_gain is None else point.recurrent_gain
    return {
        "U": blocks(point.seed, str(point.weights), N, len(bias) // N, gain),
        "W": input_weights(point.seed, len(bias), point.input_size),
        "b": bias,
    }
