"""The gated recurrent unit (Cho et al. 2014), with the reset gate before or after the recurrent product."""

from typing import Any, ClassVar

import numpy as np

from .. import aligned
from ..activations import ACTIVATIONS, complement, logistic_both, tanh_both
from ..products import outer, rows_to_columns, summed
from .base import Array, Cell, Chunk, Knobs, Lacking, Steps, Weights, geometric_gate, keep_bias
from .lstm import gated_arrays


class GRU(Cell):
    """k, r = σ(z); n = tanh(z_n); h_t = k ⊙ h_{t−1} + (1 − k) ⊙ n. γ = σ(b_k), a reference and no bound.

    z_n = W_n x + b_n + U_n (r ⊙ h) with reset "before", … + r ⊙ (U_n h + b_u) with "after" (PyTorch's
    convention, b_u its b_hn). b_u is there only where own parameters give it, and only with "after".
    k keeps the old state; Cho et al. write the update gate the other way round in some of their texts.
    With gate_init "chrono" γ is the largest of the units' keep gates.
    """

    name = "gru"
    label = "GRU"
    gates = ("k", "r", "n")
    logistic_gates = ("k", "r")
    parameters = ("weights", "recurrent_gain", "gate_bias", "reset", "gate_init")
    arrays = ("U", "W", "b")
    default_gamma = 0.99
    keep_gate: ClassVar[int | None] = 0
    spare = 6  # r ⊙ h_{t−1} (before) or U_n h_{t−1} + b_u (after); k, r; δ's factors Dk, Dr, Dn

    def optional(self, N: int, M: int, K: int) -> dict[str, tuple[int, ...]]:
        return {"b_u": (N,)} if self.reset == "after" else {}

    def lacks(self, name: str) -> str:
        if name == "b_u" and self.reset == "before":
            return (
                "the gru cell has no array 'b_u' with reset = 'before', where nothing but U_n (r ⊙ h) is inside "
                "the reset product: put it into block n of b, or give reset = 'after'"
            )
        return super().lacks(name)

    def draw(self, point: Knobs) -> dict[str, Any]:
        N = point.hidden_size
        rest = np.repeat([float(point.gate_bias or 0.0), 0.0], N)
        return gated_arrays(point, np.concatenate([keep_bias(point, "keep"), rest]))

    def nominal(self, arrays: dict[str, Any], leak: float | None) -> float:
        return geometric_gate(arrays["b"][: arrays["U"].shape[1]])

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        h, N = before[0], before.shape[-1]
        w.net(row, z[:2], slice(0, 2))
        k, r, Dk, Dr, Dn = z[4:9]
        logistic_both(z[:2], z[4:6], z[6:8])
        if self.reset == "before":
            np.multiply(r, h, out=z[3])
            inner = row.copy()
            inner[..., :N] = z[3]
            w.net(inner, z[2:3], slice(2, 3))
        else:
            w.net(row[..., :N], z[3:4], slice(2, 3), slice(N))
            if w.b_u is not None:
                z[3] += w.b_u
            w.net(row[..., N:], z[2:3], slice(2, 3), slice(N, None))
            z[2] += r * z[3]
        n, rest = aligned.scratch("value", h), aligned.scratch("rest", h)
        tanh_both(z[2], n, Dn)
        complement(z[0], k, Dk, rest)
        Dn *= rest
        Dr *= h if self.reset == "before" else z[3]
        np.subtract(h, n, out=rest)
        Dk *= rest
        np.multiply(rest, k, out=after[0])
        after[0] += n

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        left, k, r, Dk, Dr, Dn = (steps.net[:, 3 + block] for block in range(6))
        return k, Dk, r, Dr, Dn, left, None if w.b_u is None else r

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        k, Dk, r, Dr, Dn = (factor[:, None] for factor in local[:5])
        h = adjoint[0]
        np.multiply(h, Dk, out=delta[0])
        np.multiply(h, Dn, out=delta[2])
        through = aligned.scratch("through", h)
        if self.reset == "before":
            w.pull(delta[2:], through, slice(2, 3))
            np.multiply(through, Dr, out=delta[1])
            through *= r
        else:
            np.multiply(delta[2], Dr, out=delta[1])
            w.pull((delta[2] * r)[None], through, slice(2, 3))
        w.pull(delta[:2], back[0], slice(0, 2))
        back[0] += through
        np.multiply(h, k, out=through)
        back[0] += through
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        G, P, C, B, N = chunk.delta.shape
        delta, right = chunk.delta.reshape(G, P, C * B, N), chunk.right()
        r, left, with_b_u = chunk.local[2], chunk.local[5], chunk.local[6]
        inner = {}
        if self.reset == "before":
            sums, candidate = outer(delta[:2], right), right.copy()
            candidate[..., :N] = rows_to_columns(left)
            sums = np.concatenate([sums, outer(delta[2:], candidate)], axis=1)
        else:
            sums, through = outer(delta, right), delta[2:] * rows_to_columns(r)
            sums[:, 2 * N :, :N] = outer(through, np.ascontiguousarray(right[..., :N]))
            if with_b_u is not None:
                inner["b_u"] = summed(through)
        return {"U": sums[..., :N], "W": sums[..., N:-1], "b": sums[..., -1], **inner}

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["tanh"], steps.net[:, 2]
