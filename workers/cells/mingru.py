"""The minimal gated recurrent unit whose gate and candidate see the input only (Feng et al. 2024)."""

from typing import Any, ClassVar

import numpy as np

from ..activations import ACTIVATIONS, complement, logistic_both
from ..products import outer, summed
from ..weights import input_weights
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights, geometric_gate, keep_bias


class MinGRU(Cell):
    """k = σ(W_k x + b_k); h_t = k ⊙ h_{t−1} + (1 − k) ⊙ (W_n x + b_n). γ = σ(b_k), a reference and no bound.

    Without a recurrent matrix ∂h_t/∂h_{t−1} = diag k exactly, so ∏ k is the adjoint's decay. The net input of
    block n is z_n = W_n x + b_n, before 1 − k weighs it: its error term is (1 − k) ⊙ λ. k keeps the old state;
    Feng et al. write the gate the other way round. With gate_init "chrono" γ is the largest of the units' gates.
    """

    name = "mingru"
    label = "minGRU"
    gates = ("k", "n")
    parameters = ("gate_init",)
    arrays = ("W", "b")
    recurrent = ()
    augmented = False
    logistic_gates = ("k",)
    default_gamma = 0.99
    keep_gate: ClassVar[int | None] = 0
    spare = 3  # k, its factor, 1 − k

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        b = np.concatenate([keep_bias(point, "keep"), np.zeros(N)])
        return {"W": input_weights(point.seed, 2 * N, point.input_size), "b": b}

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return geometric_gate(arrays["b"][: len(arrays["b"]) // 2])

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        logistic_both(z[0], z[2], z[3])
        complement(z[0], z[2], z[3], z[4])
        np.multiply(z[2], before[0], out=after[0])
        after[0] += z[4] * z[1]
        z[3] *= before[0] - z[1]

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        return steps.net[:, 2], steps.net[:, 3], steps.net[:, 4]

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        k, Dk, Dn = (factor[:, None] for factor in local)
        np.multiply(adjoint[0], Dk, out=delta[0])
        np.multiply(adjoint[0], Dn, out=delta[1])
        np.multiply(adjoint, k, out=back)
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        G, P, C, B, N = chunk.delta.shape
        delta = chunk.delta.reshape(G, P, C * B, N)
        return {"W": outer(delta, chunk.drive.reshape(P, C * B, -1)), "b": summed(delta)}

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["identity"], steps.net[:, 1]
