"""Long short-term memory whose gates see the cell state (Gers, Schraudolph & Schmidhuber 2002)."""

from typing import Any

import numpy as np

from .. import aligned
from ..activations import logistic_both
from ..products import rows_to_columns, summed
from ..weights import peepholes
from .base import Array, Chunk, Knobs, Lacking, Steps, Weights
from .lstm import LSTM, enter, leave


class LSTMPeephole(LSTM):
    """As lstm, and z_i, z_f also + p ⊙ c_{t−1}, z_o also + p ⊙ c_t. State: h, then c.

    p (3·N) is in the order i, f, o; each gate of a unit sees its own cell only. The peephole of the output
    gate looks at the new c_t. γ = σ(b_f), a reference and no bound: a net input of zero needs c = 0 as well.
    """

    name = "lstm_peephole"
    label = "peephole LSTM"
    arrays = ("U", "W", "b", "p")
    recurrent = ("U", "p")

    def draw(self, point: Knobs) -> dict[str, Any]:
        return super().draw(point) | {"p": peepholes(point.seed, 3 * point.hidden_size)}

    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        assert w.p is not None
        w.net(row, z[:4])
        z[:2] += w.p[:2] * before[1]
        gates = aligned.scratch("gates", z[:3])
        logistic_both(z[:2], gates[:2], z[4:6])
        enter(z, gates, before[1], after[1])
        z[2] += w.p[2] * after[1]
        logistic_both(z[2], gates[2], z[6])
        leave(z, gates[2], after)

    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        return *super().local(w, steps), steps.states[1:, 1]

    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        assert w.p is not None
        pi, pf, po = w.p[:, :, None]
        Di, Df, Do, Dc, f, read = (factor[:, None] for factor in local[:6])
        h, c = adjoint[0], back[1]
        np.multiply(h, Do, out=delta[2])
        np.multiply(h, read, out=c)
        c += adjoint[1]
        c += po * delta[2]
        np.multiply(c, Di, out=delta[0])
        np.multiply(c, Df, out=delta[1])
        np.multiply(c, Dc, out=delta[3])
        w.pull(delta, back[0])
        c *= f
        c += pi * delta[0]
        c += pf * delta[1]
        return Lacking()

    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        _, P, C, B, N = chunk.delta.shape
        delta = chunk.delta[:3].reshape(3, P, C * B, N)
        old, new = rows_to_columns(chunk.before[1]), rows_to_columns(chunk.local[6])
        return super().gradients(chunk) | {"p": summed(delta * np.stack([old, old, new]))}
