"""The backward sweep of the loss: every error term and adjoint by its norm, and the gradients.

One row per loss time joins the bundle when the sweep passes its step and gives every δ_{t,k} and λ_{t,k}. A row
is a mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe
range, so nothing under- or overflows, and when it happens cannot matter (Werbos 1990).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array
from .descent import Stretch, back, descent
from .gradients import Gradients
from .outputs import Outputs
from .scale import DEAD, LN2, Bundle, Exponents, ln_of, unit_rows
from .stack import Stack
from .tape import Tape

Rows = Callable[[int, Array], None]
_TOGETHER = 1 << 17  # elements of a bundle


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
    """The rows of the losses, the last loss time first; each joins when the sweep passes its step.

    They are in bundles of ``together`` rows (None: all in one), of which the last one grows. ``starts`` (P, R, B)
    are the exponents of the rows' starts, which the bundles' own lack.
    """

    def __init__(self, stack: Stack, outputs: Outputs, together: int | None = None) -> None:
        self.stack, self.outputs = stack, outputs
        self.row_of = {t: r for r, t in enumerate(stack.loss_times)}
        self.together = together or len(self.row_of)
        P, _, B, _ = stack.inputs.shape
        self.starts = np.zeros((P, len(self.row_of), B), np.int64)
        self.bundles: list[Bundle] = []

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
        row.rescale()  # a row of zeros gets its exponent
        alive = row.exponent[:, 0] > DEAD // 2
        self.starts[:, r] = np.where(alive, row.exponent[:, 0], 0)
        own = Bundle(row.value, np.where(alive, 0, DEAD)[:, None])
        if self.bundles and self.bundles[-1].exponent.shape[1] < self.together:
            self.bundles[-1] = self.bundles[-1].joined(own)
        else:
            self.bundles.append(own)
        return row

    def times(self) -> list[int]:
        """Loss times of the rows that have joined, in the bundle's order."""
        joined = sum(bundle.exponent.shape[1] for bundle in self.bundles)
        return list(reversed(self.stack.loss_times))[:joined]

    def absolute(self, rows: Bundle) -> Exponents:
        """The exponents (P, Q, B) of the first bundle's rows with their starts'; DEAD where a row is zero."""
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
    return Backward(sweep.ln_delta, sweep.ln_adjoint, sweep.rows.starts, sweep.gradients)


class _Sweep:
    """One pass down the tape; ``total`` is the sum of the loss rows, for the gradients."""

    def __init__(self, stack: Stack, outputs: Outputs, error_terms: Rows | None, norms_only: bool) -> None:
        self.stack, self.error_terms, self.norms_only = stack, error_terms, norms_only
        P, T, B, _ = stack.inputs.shape
        together = rows_together(B, stack.weights.V.shape[-1], stack.cell.components)
        self.rows = LossRows(stack, outputs, together)
        self.total: Bundle | None = None
        self.ln_delta = np.full((P, len(stack.loss_times), T, B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf)
        self.gradients = Gradients(stack.cell, B)
        self.gradients.add_read_out(outputs)

    def take(self, stretch: Stretch) -> None:
        """The steps of a stretch, the later ones first."""
        cell, w = self.stack.cell, self.stack.weights
        P, C, B, _ = stretch.drive.shape
        delta = np.zeros((len(cell.gates) + cell.extra, P, C, B, w.V.shape[-1]), w.V.dtype)
        exponent = np.full((P, C, B), DEAD, np.int64)
        norms = [_Norms(C, P, self._rows_at(stretch.start + 1), B) for _ in range(2)]
        for k, local in stretch.steps():
            row = self.rows.join(k, stretch.state(k))
            if row is not None and len(self.stack.loss_times) > 1 and not self.norms_only:
                self.total = row if self.total is None else self.total.plus(row)
            if self.rows.bundles:
                c = k - 1 - stretch.start
                delta[:, :, c], exponent[:, c] = self._step(k - 1, local, norms, c)
        for one, whole in zip(norms, (self.ln_delta, self.ln_adjoint), strict=True):
            one.write(whole[:, :, stretch.start : stretch.stop])
        if not self.norms_only:
            self.gradients.add(stretch.chunk(delta), exponent)

    def _rows_at(self, t: int) -> int:
        """How many rows have joined when the sweep has passed step t."""
        return len(self.stack.loss_times) - bisect_left(self.stack.loss_times, t)

    def _step(self, k: int, local: tuple, norms: list[_Norms], c: int) -> tuple[Array, Exponents]:
        """Down step k (from 0), the c-th of its stretch: the error terms (G + extra, P, B, N) of the whole loss,
        and their exponents."""
        down: list[Bundle] = []
        for i in range(len(self.rows.bundles)):
            rows = self._down(i, local, norms, c)
            if self.error_terms is not None or i == 0:
                down.append(rows)
        if self.error_terms is not None:
            G = len(self.stack.cell.gates)
            self.error_terms(k, np.concatenate([unit_rows(rows.value[:G]) for rows in down], axis=2))
        if self.total is None:
            return down[0].value[:, :, 0], self.rows.absolute(down[0])[:, 0]
        self.total.rescale()
        self.total, rows = back(self.stack, self.total, local)
        return rows.value[:, :, 0], np.where(rows.value.any(axis=(0, -1)), rows.exponent, DEAD)[:, 0]

    def _down(self, i: int, local: tuple, norms: list[_Norms], c: int) -> Bundle:
        """Take bundle number i down a step and note its norms: its error terms (G + extra, P, Q, B, N)."""
        bundles, first = self.rows.bundles, i * self.rows.together
        norms[1].put(c, first, bundles[i])
        bundles[i], rows = back(self.stack, bundles[i], local)
        terms = Bundle(rows.value[: len(self.stack.cell.gates)], rows.exponent)
        norms[0].put(c, first, terms)
        return rows


class _Norms:
    """Norms of the rows at the C steps of a stretch, whose logarithms are taken together."""

    def __init__(self, C: int, P: int, Q: int, B: int) -> None:
        self.squares, self.exponent = np.zeros((C, P, Q, B)), np.zeros((C, P, Q, B), np.int64)

    def put(self, c: int, first: int, bundle: Bundle) -> None:
        """Rescale a bundle, whose rows are the ones from ``first`` on, and note its norms at the c-th step."""
        squares = bundle.rescale()
        rows = slice(first, first + squares.shape[1])
        self.squares[c, :, rows], self.exponent[c, :, rows] = squares, bundle.exponent

    def write(self, ln_norms: NDArray[np.float64]) -> None:
        """Write ln‖row‖ to (P, R, C, B), last loss time last."""
        ln = ln_of(self.squares, self.exponent)
        ln_norms[:, ln_norms.shape[1] - ln.shape[2] :] = ln[:, :, ::-1].transpose(1, 2, 0, 3)


def rows_together(B: int, N: int, components: int) -> int:
    """Rows of a bundle that the processor's cache holds with what is made of it; of every point alike."""
    return max(1, _TOGETHER // (components * B * N))
