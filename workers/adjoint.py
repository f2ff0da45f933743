"""The backward sweep of the loss: every error term and adjoint by its norm, and the gradients.

One row per loss time joins the sweep when it passes its step and gives every δ_{t,k} and λ_{t,k}. A row is a
mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe range,
so nothing under- or overflows, and no bit of a mantissa depends on when it happens (Werbos 1990).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .descent import descent
from .gradients import Gradients
from .outputs import Outputs
from .room import Room
from .scale import LN2, Exponents
from .stack import Stack
from .sweep import Sweep
from .tape import Tape
from .walk import Rows


@dataclass(frozen=True)
class Backward:
    """ln‖δ_{t,k}‖ and ln‖λ_{t,k}‖, each (P, R, T, B) with t = loss_times[r] and k at index k−1 (−inf for k > t
    and where a row is dead), and the gradients of the loss summed over loss times.

    ``start`` (P, R, B) is a power of two that both norms of a row lack: ratios within a row need not know it,
    and lose no digit to it. ``absolute`` puts it back. ``alive``: every δ_{t,k} is finite and not zero, and so is
    every λ_{t,k}, of which it is a multiple.
    """

    ln_delta: NDArray[np.float64]
    start: Exponents
    gradients: Gradients
    alive: bool
    adjoints: Callable[[], NDArray[np.float64]]

    @cached_property
    def ln_adjoint(self) -> NDArray[np.float64]:
        """ln‖λ_{t,k}‖; a sweep of its own where the first one was not told to note it."""
        return self.adjoints()

    def absolute(self, ln_norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Either array with the rows' own scale: natural logarithms of the norms themselves."""
        return ln_norms + LN2 * self.start[:, :, None]


def backward(
    stack: Stack,
    tape: Tape,
    outputs: Outputs,
    error_terms: Rows | None = None,
    norms_only: bool = False,
    adjoints: bool = True,
    room: Room | None = None,
) -> Backward:
    """Sweep from T down to step 1; with ``norms_only`` there are no gradients, without ``adjoints`` the norms
    of λ are left for another sweep. ``room`` has memory for what is gone behind it.

    ``error_terms(k, first, unit)``, if given, is called for every step (from 0) and bundle with the unit vectors
    (G, P, Q, B, N) of the rows from ``first`` on, counted from the last loss time.
    """
    sweep = Sweep(stack, outputs, error_terms, norms_only, adjoints, room or Room())
    for stretch in descent(stack, tape):
        sweep.take(stretch)
    sweep.leave()

    def ln_adjoint() -> NDArray[np.float64]:
        if stack.cell.same:
            return sweep.ln_delta
        if sweep.ln_adjoint is None:
            return backward(stack, tape, outputs, norms_only=True).ln_adjoint
        return sweep.ln_adjoint

    return Backward(sweep.ln_delta, sweep.rows.starts, sweep.gradients, sweep.alive, ln_adjoint)
