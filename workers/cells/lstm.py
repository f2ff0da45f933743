"""Long short-term memory with its forget gate (Gers, Schmidhuber & Cummins 2000)."""

from typing import Any, ClassVar

import numpy as np

from ..activations import ACTIVATIONS, logistic, logistic_pair, tanh_derivative
from ..weights import blocks, input_weights
from .base import Array, Back, Cell, Chunk, Knobs, Weights, geometric_gate, keep_bias
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
    components = 2
    parameters = ("weights", "recurrent_gain", "gate_bias", "gate_init")
    arrays = ("U", "W", "b")
    default_gamma = 0.99
    keep_gate: ClassVar[int | None] = 1

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        forget, bias = keep_bias(point, "forget"), np.full(N, float(point.gate_bias or 0.0))
        enter = -forget if point.gate_init == "chrono" else bias
        return gated_arrays(point, np.concatenate([enter, forget, bias, np.zeros(N)]))

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        N = arrays["U"].shape[1]
        return geometric_gate(arrays["b"][N : 2 * N])

    def step(self, w: Weights, z: Array, before: Array, after: Array) -> None:
        z += w.recur(before[0])
        i, f, o = logistic(z[:3])
        i *= np.tanh(z[3])
        np.multiply(f, before[1], out=after[1])
        after[1] += i
        np.tanh(after[1], out=after[0])
        after[0] *= o

    def local(self, w: Weights, z: Array, before: Array, after: Array) -> tuple[Any, ...]:
        (i, Di), (f, Df), (o, Do) = (logistic_pair(np.ascontiguousarray(z[:, g])) for g in range(3))
        zc, c = np.ascontiguousarray(z[:, 3]), np.ascontiguousarray(after[:, 1])
        Di *= np.tanh(zc)
        Df *= before[:, 1]
        Do *= np.tanh(c)
        i *= tanh_derivative(zc)
        o *= tanh_derivative(c)
        return Di, Df, Do, i, f, o

    def step_adjoint(self, w: Weights, local: tuple[Any, ...], adjoint: Array) -> Back:
        Di, Df, Do, Dc, f, read = (factor[:, None] for factor in local)
        h, c = adjoint
        c = c + h * read
        delta = np.empty((4, *h.shape), h.dtype)
        np.multiply(c, Di, out=delta[0])
        np.multiply(c, Df, out=delta[1])
        np.multiply(h, Do, out=delta[2])
        np.multiply(c, Dc, out=delta[3])
        back = np.empty_like(delta, shape=(2, *h.shape))
        back[0] = w.pull(delta)
        np.multiply(c, f, out=back[1])
        return Back(delta, back)

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        return matrix_gradients(chunk)

    def squashed(self, z: Array, after: Array) -> tuple[Any, Array]:
        return ACTIVATIONS["tanh"], after[:, 1]


def gated_arrays(point: Knobs, bias: Array) -> dict[str, Any]:
    """U, W and b of a gated cell with G = len(bias)/N blocks; U's blocks are scaled by recurrent_gain."""
    N = point.hidden_size
    gain = 1.0 if point.recurrent_gain is None else point.recurrent_gain
    return {
        "U": blocks(point.seed, str(point.weights), N, len(bias) // N, gain),
        "W": input_weights(point.seed, len(bias), point.input_size),
        "b": bias,
    }
