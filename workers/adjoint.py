"""The backward sweep of the loss: every error term and adjoint by its norm, and the gradients.

One row per loss time joins the sweep when it passes its step and gives every δ_{t,k} and λ_{t,k}. A row is a
mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe range,
so nothing under- or overflows, and no bit of a mantissa depends on when it happens (Werbos 1990).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array
from .descent import Stretch, back, descent, stretch_steps
from .gradients import Gradients, Terms
from .loss_rows import Joining, LossRows
from .outputs import Outputs
from .room import Room
from .scale import DEAD, LN2, Bundle, Exponents, in_range, ln_of, squared_norms, unit_rows
from .stack import Stack
from .tape import Tape

Rows = Callable[[int, int, Array], None]
Steps = Sequence[tuple[int, int, tuple[Any, ...]]]
"""Of a stretch, the last one first: index in the stretch, step from 1, local derivatives."""
_TOGETHER = 1 << 16  # elements of a bundle


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


def backward(
    stack: Stack, tape: Tape, outputs: Outputs, error_terms: Rows | None = None, norms_only: bool = False
) -> Backward:
    """Sweep from T down to step 1; with ``norms_only`` there are no gradients but those of the read-out.

    ``error_terms(k, first, unit)``, if given, is called for every step (from 0) and bundle with the unit vectors
    (G, P, Q, B, N) of the rows from ``first`` on, counted from the last loss time.
    """
    sweep = _Sweep(stack, outputs, error_terms, norms_only)
    for stretch in descent(stack, tape):
        sweep.take(stretch)
    return Backward(sweep.ln_delta, sweep.ln_adjoint, sweep.rows.starts, sweep.gradients)


class _Sweep:
    """One pass down the tape. A bundle takes a whole stretch while the processor's cache holds it; the rows that
    join on the way go step by step and become part of a bundle behind the stretch."""

    def __init__(self, stack: Stack, outputs: Outputs, error_terms: Rows | None, norms_only: bool) -> None:
        self.stack, self.error_terms = stack, error_terms
        P, T, B, N = *stack.inputs.shape[:3], stack.weights.V.shape[-1]
        self.alone = len(stack.loss_times) == 1
        self.norms_only, self.together = norms_only, rows_together(B, N, stack.cell.components)
        self.rows, self.bundles = LossRows(stack, outputs), list[Bundle]()
        self.total: Bundle | None = None  # the sum of the rows, where there are several
        self.ln_delta = np.full((P, len(stack.loss_times), T, B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf)
        self.gradients = Gradients(stack.cell, B)
        self.gradients.add_read_out(outputs)
        self.terms = None if norms_only else Terms.of(stack, min(T, stretch_steps(stack)))
        self.room = Room(stack.weights.V.dtype)

    def take(self, stretch: Stretch) -> None:
        """The steps of a stretch, the later ones first."""
        steps = [(k - 1 - stretch.start, k, local) for k, local in stretch.steps()]
        P, R, B = self.rows.starts.shape
        behind = R - bisect_left(self.stack.loss_times, stretch.start + 1)  # rows that will have joined
        norms = [_Norms(len(steps), P, behind, B) for _ in range(2)]
        terms = None if self.terms is None else self.terms.again(len(steps))
        joined, first = self.rows.of(stretch), 0
        for i, bundle in enumerate(self.bundles):
            self.bundles[i] = self._through(bundle, first, steps, norms, terms)
            first += bundle.rows
        self._join(joined, first, steps, norms, terms)
        for one, whole in zip(norms, (self.ln_delta, self.ln_adjoint), strict=True):
            one.write(whole[:, :, stretch.start : stretch.stop])
        if terms is not None:
            if not self.alone:
                self._sum(joined, steps, terms)
            self.gradients.add(stretch.chunk(terms.value), terms.exponent, in_place=True)

    def _through(
        self, bundle: Bundle, first: int, steps: Steps, norms: list[_Norms], terms: Terms | None
    ) -> Bundle:
        """A bundle behind all of the steps. Norms are looked at behind them: most stretches are safe throughout,
        and one that is not is gone through again. Row by row the bits are the same."""
        bundle.rescale(ahead=len(steps))
        if bundle.exponent.min() > DEAD // 2:
            after = self._walk(bundle, first, steps, norms, terms, careful=False)
            if all(one.safe(first, bundle) for one in norms):
                self.room.give(bundle.value)
                return after
        return self._walk(bundle, first, steps, norms, terms, careful=True)

    def _join(
        self, joined: dict[int, Joining], first: int, steps: Steps, norms: list[_Norms], terms: Terms | None
    ) -> None:
        """Let the rows of the stretch's loss times, by their step, join and go down."""
        young: Bundle | None = None
        for step in steps:
            if step[1] in joined:
                bare = joined[step[1]].bare
                young = bare if young is None else young.joined(bare)
            if young is not None:
                young = self._walk(young, first, [step], norms, terms, careful=True)
        if young is not None:
            if self.bundles and self.bundles[-1].rows + young.rows <= self.together:
                self.bundles[-1] = self.bundles[-1].joined(young)
            else:
                self.bundles.append(young)

    def _walk(
        self,
        bundle: Bundle,
        first: int,
        steps: Steps,
        norms: list[_Norms],
        terms: Terms | None,
        careful: bool,
    ) -> Bundle:
        """Down the steps, noting the norms of the rows; they are rescaled where it is ``careful``."""
        G, start = len(self.stack.cell.gates), bundle.value
        shape, kept = bundle.value.shape, terms if self.alone else None
        scratch = self.room.take(G + self.stack.cell.extra, *shape[1:]) if kept is None else None
        for c, k, local in steps:
            norms[1].put(c, first, bundle, careful)
            above = bundle.value
            delta = scratch if kept is None else kept.value[:, :, c, None]
            bundle, down = back(self.stack, bundle, local, delta, self.room.take(*shape))
            if above is not start:
                self.room.give(above)
            norms[0].put(c, first, Bundle(down.value[:G], down.exponent), careful)
            if self.error_terms is not None:
                self.error_terms(k - 1, first, unit_rows(down.value[:G]))
            if kept is not None:
                kept.exponent[:, c] = self.rows.absolute(down, alive=not careful)[:, 0]
        if scratch is not None:
            self.room.give(scratch)
        return bundle

    def _sum(self, joined: dict[int, Joining], steps: Steps, terms: Terms) -> None:
        """The error terms of the whole loss, from the sum of the rows."""
        for c, k, local in steps:
            if k in joined:
                whole = joined[k].whole
                self.total = whole if self.total is None else self.total.plus(whole)
            if self.total is not None:
                self.total.rescale()
                self.total, down = back(self.stack, self.total, local)
                exponent = np.where(down.value.any(axis=(0, -1)), down.exponent, DEAD)
                terms.put(c, down.value[:, :, 0], exponent[:, 0])


class _Norms:
    """Norms of the rows at the C steps of a stretch, whose logarithms are taken together."""

    def __init__(self, C: int, P: int, Q: int, B: int) -> None:
        self.squares, self.exponent = np.zeros((C, P, Q, B)), np.zeros((C, P, Q, B), np.int64)
        self._last: Exponents | None = None

    def put(self, c: int, first: int, bundle: Bundle, careful: bool) -> None:
        """Note the norms of a bundle, whose rows are the ones from ``first`` on, at the c-th step."""
        rows = slice(first, first + bundle.rows)
        self.squares[c, :, rows] = bundle.rescale() if careful else squared_norms(bundle.value)
        if bundle.exponent is not self._last:  # it seldom changes
            self.exponent[: c + 1, :, rows] = self._last = bundle.exponent

    def safe(self, first: int, bundle: Bundle) -> bool:
        """Whether the bundle's rows have been in the safe range at all steps."""
        return in_range(self.squares[:, :, first : first + bundle.rows], bundle.value.dtype)

    def write(self, ln_norms: NDArray[np.float64]) -> None:
        """Write ln‖row‖ to (P, R, C, B), last loss time last."""
        ln = ln_of(self.squares, self.exponent)
        ln_norms[:, ln_norms.shape[1] - ln.shape[2] :] = ln[:, :, ::-1].transpose(1, 2, 0, 3)


def rows_together(B: int, N: int, components: int) -> int:
    """Rows of a bundle that the processor's cache holds with what is made of it; of every point alike."""
    return max(1, _TOGETHER // (components * B * N))
