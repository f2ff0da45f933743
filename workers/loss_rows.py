"""The rows of the losses: one a loss time, joining the way down when it passes their step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .descent import Stretch
from .outputs import Outputs
from .scale import DEAD, Bundle, Exponents
from .stack import Stack


class Joining(NamedTuple):
    """One row (Q = 1) ∂L_t/∂s_t: ``whole`` with its own scale, ``bare`` without the power of two it starts at."""

    whole: Bundle
    bare: Bundle


class LossRows:
    """The rows of the losses, the last loss time first.

    ``starts`` (P, R, B) are the exponents of the rows' starts, which bare rows lack: ratios within a row need not
    know them, and lose no digit to them.
    """

    def __init__(self, stack: Stack, outputs: Outputs) -> None:
        self.stack, self.outputs = stack, outputs
        self.row_of = {t: r for r, t in enumerate(stack.loss_times)}
        P, _, B, _ = stack.inputs.shape
        self.starts = np.zeros((P, len(self.row_of), B), np.int64)

    def of(self, stretch: Stretch) -> dict[int, Joining]:
        """The rows of the loss times among a stretch's steps, by their step."""
        times = [t for t in self.stack.loss_times if stretch.start < t <= stretch.stop]
        if not times:
            return {}
        rows = slice(self.row_of[times[0]], self.row_of[times[-1]] + 1)
        states = stretch.after(times).transpose(1, 2, 0, 3, 4)  # (components, P, R, B, N)
        states = np.ascontiguousarray(states)
        value, shift = self.stack.cell.read_out_adjoint(states, self.outputs.signal[:, rows])
        exponent = self.outputs.exponent[:, rows]
        whole = Bundle(value, exponent if shift is None else exponent + shift)
        whole.rescale()  # a row of zeros gets its exponent
        alive = whole.exponent > DEAD // 2
        self.starts[:, rows] = np.where(alive, whole.exponent, 0)
        bare = Bundle(whole.value, np.where(alive, 0, DEAD))
        return {t: Joining(whole.row(i), bare.row(i)) for i, t in enumerate(times)}

    def absolute(self, rows: Bundle, alive: bool = False) -> Exponents:
        """The exponents (P, Q, B) of bare rows, the last loss time first, with their starts'; DEAD where a row is
        zero, if they are not known to be ``alive``."""
        Q = rows.exponent.shape[1]
        exponent = rows.exponent + self.starts[:, ::-1][:, :Q]
        return exponent if alive else np.where(rows.value.any(axis=(0, -1)), exponent, DEAD)
