"""The backward sweep: one bundle of adjoint rows, on a logarithmic scale, down the tape.

One row per loss time joins the bundle when the sweep passes its step and gives every δ_{t,k} and λ_{t,k}. A row
is a mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe
range, so nothing under- or overflows, and when it happens cannot matter (Werbos 1990).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array, Chunk
from .gradients import Gradients
from .outputs import Outputs
from .scale import DEAD, LN2, Bundle, Exponents, unit_rows
from .tape import Stack, Tape

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


def backward(stack: Stack, tape: Tape, outputs: Outputs, error_terms: Rows | None = None) -> Backward:
    """Sweep from T down to step 1.

    ``error_terms(k, unit)``, if given, is called at every step with the unit vectors (G, P, Q, B, N) of the
    rows that have joined, last loss time first.
    """
    sweep = _Sweep(stack, tape, outputs, error_terms)
    T, chunk = stack.inputs.shape[1], chunk_steps(stack)
    for start in reversed(range(0, T, chunk)):
        sweep.chunk(start, min(start + chunk, T))
    return Backward(_by_point(sweep.ln_delta), _by_point(sweep.ln_adjoint), sweep.start, sweep.gradients)


def chunk_steps(stack: Stack) -> int:
    """Steps whose local derivatives are made at once and whose gradients are one product: some 256 columns."""
    return max(1, min(64, 256 // stack.inputs.shape[2]))


def _by_point(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, P, R, B), last loss time first -> (P, R, T, B), contiguous."""
    return np.ascontiguousarray(norms[:, :, ::-1].transpose(1, 2, 0, 3))


class _Sweep:
    """One pass down the tape. Rows stand last loss time first; ``total`` is their sum, for the gradients."""

    def __init__(self, stack: Stack, tape: Tape, outputs: Outputs, error_terms: Rows | None) -> None:
        self.stack, self.tape, self.outputs, self.error_terms = stack, tape, outputs, error_terms
        P, T, B, _ = stack.inputs.shape
        self.row_of = {t: r for r, t in enumerate(stack.loss_times)}
        self.bundle: Bundle | None = None
        self.total: Bundle | None = None
        self.ln_delta = np.full((T, P, len(self.row_of), B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf)
        self.start = np.zeros((P, len(self.row_of), B), np.int64)
        self.gradients = Gradients(stack.cell, B)
        self.gradients.add_read_out(outputs)

    def chunk(self, start: int, stop: int) -> None:
        """Steps start+1 … stop, the later ones first."""
        stack, tape = self.stack, self.tape
        P, _, B, _ = stack.inputs.shape
        before, after = tape.states[start:stop], tape.states[start + 1 : stop + 1]
        local = stack.cell.local(stack.weights, tape.net[start:stop], before, after)
        G, N, dtype = (
            len(stack.cell.gates) + stack.cell.extra,
            stack.weights.V.shape[-1],
            stack.weights.V.dtype,
        )
        delta = np.zeros((G, P, stop - start, B, N), dtype)
        exponent = np.full((P, stop - start, B), DEAD, np.int64)
        for k in reversed(range(start, stop)):
            self._join(k + 1)
            if self.bundle is not None:
                one = tuple(None if part is None else part[k - start] for part in local)
                rows = self._step(k, one)
                delta[:, :, k - start], exponent[:, k - start] = rows.value[:, :, 0], rows.exponent[:, 0]
        drive = stack.drive[:, start:stop]
        self.gradients.add(Chunk(delta, before.swapaxes(0, 1), drive, local), exponent)

    def _join(self, t: int) -> None:
        """Let the row of loss time t join, if step t has a loss."""
        r = self.row_of.get(t)
        if r is None:
            return
        signal = self.outputs.signal[:, r]
        value, shift = self.stack.cell.read_out_adjoint(self.tape.states[t], signal)
        exponent = self.outputs.exponent[:, r]
        row = Bundle(value[:, :, None], (exponent if shift is None else exponent + shift)[:, None])
        row.ln_norms()  # a row of zeros gets its exponent
        alive = row.exponent[:, 0] > DEAD // 2
        self.start[:, r] = np.where(alive, row.exponent[:, 0], 0)
        own = Bundle(row.value, np.where(alive, 0, DEAD)[:, None])
        self.bundle = own if self.bundle is None else self.bundle.joined(own)
        if len(self.row_of) > 1:
            self.total = row if self.total is None else self.total.plus(row)

    def _step(self, k: int, local: tuple[Any, ...]) -> Bundle:
        """One adjoint step of the bundle, and of the total where that is another; the total's error terms."""
        assert self.bundle is not None
        Q, G = self.bundle.exponent.shape[1], len(self.stack.cell.gates)
        self.ln_adjoint[k, :, :Q] = self.bundle.ln_norms()
        self.bundle, rows = self._back(self.bundle, local)
        terms = Bundle(rows.value[:G], rows.exponent)
        self.ln_delta[k, :, :Q] = terms.ln_norms()
        if self.error_terms is not None:
            self.error_terms(k, unit_rows(terms.value))
        if self.total is None:
            exponent = rows.exponent + self.start
        else:
            self.total.ln_norms()
            self.total, rows = self._back(self.total, local)
            exponent = rows.exponent
        return Bundle(rows.value, np.where(rows.value.any(axis=(0, -1)), exponent, DEAD))

    def _back(self, bundle: Bundle, local: tuple[Any, ...]) -> tuple[Bundle, Bundle]:
        """λ_{k−1} and the error terms δ_k of a bundle λ_k."""
        back = self.stack.cell.step_adjoint(self.stack.weights, local, bundle.value)
        delta, adjoint = (
            bundle.exponent if shift is None else bundle.exponent + shift[:, None]
            for shift in (back.delta_shift, back.adjoint_shift)
        )
        return Bundle(back.adjoint, adjoint), Bundle(back.delta, delta)
