"""The backward sweep of the loss: every error term and adjoint by its norm, and the gradients.

One row per loss time joins the bundle when the sweep passes its step and gives every δ_{t,k} and λ_{t,k}. A row
is a mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe
range, so nothing under- or overflows, and when it happens cannot matter (Werbos 1990).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array
from .descent import Stretch, back, descent
from .gradients import Gradients
from .outputs import Outputs
from .scale import DEAD, LN2, Bundle, Exponents, unit_rows
from .stack import Stack
from .tape import Tape

Rows = Callable[[int, Array], None]


@dataclass(frozen=True)
class Backward:
    """ln‖δ_{t,k}‖ and ln‖λ_{t,k}‖, each (P, R, T, B) with t = loss_times[r] and k at index k−1 (−inf for k > t
    and where a row is dead), and the gradients of the loss summed over loss times.

    ``start`` (P, R, B) is a power of two that both norms of a row lack: ratios within a row need not know it,
    and lose no digit to it. ``absolute`` puts it back.
    """

    ln_delta: NDArray[np.float64]
    ln_adjoint: NDArray[np.float64]
    start: Exponents
    gradients: Gradients

    def absolute(self, ln_norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Either array with the rows' own scale: natural logarithms of the norms themselves."""
        return ln_norms + LN2 * self.start[:, :, None]


class LossRows:
    """The bundle of the loss rows, the last loss time first; each joins when the sweep passes its step.

    ``starts`` (P, R, B) are the exponents of their starts, which the bundle's own lack.
    """

    def __init__(self, stack: Stack, outputs: Outputs) -> None:
        self.stack, self.outputs = stack, outputs
        self.row_of = {t: r for r, t in enumerate(stack.loss_times)}
        P, _, B, _ = stack.inputs.shape
        self.starts = np.zeros((P, len(self.row_of), B), np.int64)
        self.bundle: Bundle | None = None

    def join(self, t: int, state: Array) -> Bundle | None:
        """Let the row of loss time t join, if step t has a loss: that row (Q = 1) with its own scale.

        ``state`` is s_t (components, P, B, N).
        """
        r = self.row_of.get(t)
        if r is None:
            return None
        value, shift = self.stack.cell.read_out_adjoint(state, self.outputs.signal[:, r])
        exponent = self.outputs.exponent[:, r]
        row = Bundle(value[:, :, None], (exponent if shift is None else exponent + shift)[:, None])
        row.ln_norms()  # a row of zeros gets its exponent
        alive = row.exponent[:, 0] > DEAD // 2
        self.starts[:, r] = np.where(alive, row.exponent[:, 0], 0)
        own = Bundle(row.value, np.where(alive, 0, DEAD)[:, None])
        self.bundle = own if self.bundle is None else self.bundle.joined(own)
        return row

    def times(self) -> list[int]:
        """Loss times of the rows that have joined, in the bundle's order."""
        joined = 0 if self.bundle is None else self.bundle.exponent.shape[1]
        return list(reversed(self.stack.loss_times))[:joined]

    def absolute(self, rows: Bundle) -> Exponents:
        """The exponents (P, Q, B) of rows of this bundle with those of their starts; DEAD where a row is zero."""
        Q = rows.exponent.shape[1]
        exponent = rows.exponent + self.starts[:, ::-1][:, :Q]
        return np.where(rows.value.any(axis=(0, -1)), exponent, DEAD)


def backward(
    stack: Stack, tape: Tape, outputs: Outputs, error_terms: Rows | None = None, norms_only: bool = False
) -> Backward:
    """Sweep from T down to step 1; with ``norms_only`` there are no gradients but those of the read-out.

    ``error_terms(k, unit)``, if given, is called at every step (from 0) with the unit vectors (G, P, Q, B, N) of
    the rows that have joined, last loss time first.
    """
    sweep = _Sweep(stack, outputs, error_terms, norms_only)
    for stretch in descent(stack, tape):
        sweep.take(stretch)
    norms = (_by_point(sweep.ln_delta), _by_point(sweep.ln_adjoint))
    return Backward(*norms, sweep.rows.starts, sweep.gradients)


def _by_point(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, P, R, B), last loss time first -> (P, R, T, B), contiguous."""
    return np.ascontiguousarray(norms[:, :, ::-1].transpose(1, 2, 0, 3))


class _Sweep:
    """One pass down the tape; ``total`` is the sum of the loss rows, for the gradients."""

    def __init__(self, stack: Stack, outputs: Outputs, error_terms: Rows | None, norms_only: bool) -> None:
        self.stack, self.error_terms, self.norms_only = stack, error_terms, norms_only
        self.rows = LossRows(stack, outputs)
        self.total: Bundle | None = None
        P, T, B, _ = stack.inputs.shape
        self.ln_delta = np.full((T, P, len(stack.loss_times), B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf)
        self.gradients = Gradients(stack.cell, B)
        self.gradients.add_read_out(outputs)

    def take(self, stretch: Stretch) -> None:
        """The steps of a stretch, the later ones first."""
        cell, w = self.stack.cell, self.stack.weights
        P, C, B, _ = stretch.drive.shape
        delta = np.zeros((len(cell.gates) + cell.extra, P, C, B, w.V.shape[-1]), w.V.dtype)
        exponent = np.full((P, C, B), DEAD, np.int64)
        for k, local in stretch.steps():
            row = self.rows.join(k, stretch.state(k))
            if row is not None and len(self.stack.loss_times) > 1 and not self.norms_only:
                self.total = row if self.total is None else self.total.plus(row)
            if self.rows.bundle is not None:
                c = k - 1 - stretch.start
                delta[:, :, c], exponent[:, c] = self._step(k - 1, self.rows.bundle, local)
        if not self.norms_only:
            self.gradients.add(stretch.chunk(delta), exponent)

    def _step(self, k: int, bundle: Bundle, local: tuple) -> tuple[Array, Exponents]:
        """Down step k (from 0): the error terms (G + extra, P, B, N) of the whole loss, and their exponents."""
        Q, G = bundle.exponent.shape[1], len(self.stack.cell.gates)
        self.ln_adjoint[k, :, :Q] = bundle.ln_norms()
        self.rows.bundle, rows = back(self.stack, bundle, local)
        terms = Bundle(rows.value[:G], rows.exponent)
        self.ln_delta[k, :, :Q] = terms.ln_norms()
        if self.error_terms is not None:
            self.error_terms(k, unit_rows(terms.value))
        if self.total is None:
            return rows.value[:, :, 0], self.rows.absolute(rows)[:, 0]
        self.total.ln_norms()
        self.total, rows = back(self.stack, self.total, local)
        return rows.value[:, :, 0], np.where(rows.value.any(axis=(0, -1)), rows.exponent, DEAD)[:, 0]
