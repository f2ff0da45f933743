"""The backward sweep of the loss: every error term and adjoint by its norm, and the gradients.

One row per loss time joins the sweep when it passes its step and gives every δ_{t,k} and λ_{t,k}. A row is a
mantissa and an exponent of two: the row is rescaled by an exact power of two when its norm leaves a safe range,
so nothing under- or overflows, and no bit of a mantissa depends on when it happens (Werbos 1990).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array
from .descent import Stretch, back, descent, stretch_steps
from .gradients import Gradients, Terms
from .loss_rows import Joining, LossRows
from .norms import Norms
from .outputs import Outputs
from .room import Room
from .scale import DEAD, LN2, Bundle, Exponents, in_range, squared_norms, unit_rows
from .stack import Stack
from .tape import Tape

Rows = Callable[[int, int, Array], None]
Step = tuple[int, int, tuple[Any, ...]]
"""Index in its stretch, step from 1, local derivatives."""
Steps = Sequence[Step]
"""Of a stretch, the last one first."""
_TOGETHER = 1 << 15  # elements of a bundle


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
    sweep = _Sweep(stack, outputs, error_terms, norms_only, adjoints, room or Room())
    for stretch in descent(stack, tape):
        sweep.take(stretch)
    sweep.leave()

    def ln_adjoint() -> NDArray[np.float64]:
        if sweep.ln_adjoint is None:
            return backward(stack, tape, outputs, norms_only=True).ln_adjoint
        return sweep.ln_adjoint

    return Backward(sweep.ln_delta, sweep.rows.starts, sweep.gradients, sweep.alive, ln_adjoint)


class _Sweep:
    """One pass down the tape. A bundle takes a whole stretch while the processor's cache holds it; the rows that
    join on the way go step by step and become part of a bundle behind the stretch."""

    def __init__(
        self,
        stack: Stack,
        outputs: Outputs,
        error_terms: Rows | None,
        norms_only: bool,
        adjoints: bool,
        room: Room,
    ) -> None:
        self.stack, self.error_terms, self.room = stack, error_terms, room
        P, T, B, N = *stack.inputs.shape[:3], stack.weights.V.shape[-1]
        self.alone = len(stack.loss_times) == 1
        self.together = rows_together(B, N, stack.cell.components)
        self.gates, self.blocks = len(stack.cell.gates), len(stack.cell.gates) + stack.cell.extra
        self.over = stack.cell.over and not adjoints  # δ may be written over λ
        self.rows, self.bundles = LossRows(stack, outputs), list[Bundle]()
        self.total: Bundle | None = None  # the sum of the rows, where there are several
        self.ln_delta = np.full((P, len(stack.loss_times), T, B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf) if adjoints else None
        self.alive = True
        self.gradients = Gradients(stack.cell, B)
        self.terms = None
        if not norms_only:
            self.gradients.add_read_out(outputs)
            self.terms = Terms.of(stack, min(T, stretch_steps(stack)), room)

    def take(self, stretch: Stretch) -> None:
        """The steps of a stretch, the later ones first."""
        steps = [(k - 1 - stretch.start, k, local) for k, local in stretch.steps()]
        P, R, B = self.rows.starts.shape
        behind = R - bisect_left(self.stack.loss_times, stretch.start + 1)  # rows that will have joined
        norms = [Norms(len(steps), P, behind, B) for _ in range(1 if self.ln_adjoint is None else 2)]
        terms = None if self.terms is None else self.terms.again(len(steps))
        joined, first = self.rows.of(stretch), 0
        for i, bundle in enumerate(self.bundles):
            self.bundles[i] = self._through(bundle, first, steps, norms, terms)
            first += bundle.rows
        self._join(joined, first, steps, norms, terms)
        there = slice(stretch.start, stretch.stop)
        live = norms[0].write(self.ln_delta[:, :, there])
        self.alive = self.alive and live == P * B * sum(
            R - bisect_left(self.stack.loss_times, k) for _, k, _ in steps
        )
        if self.ln_adjoint is not None:
            norms[1].write(self.ln_adjoint[:, :, there])
        if terms is not None:
            if not self.alone:
                self._sum(joined, steps, terms)
            self.gradients.add(stretch.chunk(terms.value), terms.exponent, in_place=True)

    def leave(self) -> None:
        """Give back what the last rows are in."""
        self.room.give(*(bundle.value for bundle in self.bundles))
        if self.terms is not None:
            self.room.give(self.terms.value)

    def _take(self, *shape: int) -> Array:
        return self.room.take(shape, self.stack.weights.V.dtype)

    def _through(
        self, bundle: Bundle, first: int, steps: Steps, norms: list[Norms], terms: Terms | None
    ) -> Bundle:
        """A bundle behind all of the steps. Norms are looked at behind them: most stretches are safe throughout,
        and one that is not is gone through again. Row by row the bits are the same."""
        before = bundle.value
        bundle.rescale(ahead=len(steps))
        if bundle.value is not before:
            self.room.give(before)
        start, after = bundle.value, None
        if bundle.exponent.min() > DEAD // 2:
            after = self._freely(bundle, first, steps, norms, terms)
        after = after or self._carefully(bundle, first, steps, norms, terms)
        self.room.give(start)
        return after

    def _freely(
        self, bundle: Bundle, first: int, steps: Steps, norms: list[Norms], terms: Terms | None
    ) -> Bundle | None:
        """Down the steps without a look at the norms before the end; None where one is not safe then."""
        start, kept, shape = bundle.value, terms if self.alone else None, bundle.value.shape
        spare = self._take(*shape), self._take(*shape)
        over, safe = self.over and kept is None, True
        own = spare[1] if over or kept else self._take(self.blocks, *shape[1:])
        above, below = start, spare[0]
        for c, k, local in steps:
            delta = kept.value[:, :, c, None] if kept else own
            safe = self._down(above, first, (c, k, local), norms, delta, below) and safe
            above, below = below, spare[1] if below is spare[0] else spare[0]
            own = above if over else own  # what is left of λ when the next one is there
        for one in norms:
            one.scale(slice(None), first, bundle)
            safe = safe and one.safe(first, bundle)
        if kept:
            kept.exponent[:] = self.rows.absolute(bundle, alive=True)
        self.room.give(below, *(() if over or kept else (own,)))
        if safe:
            return Bundle(above, bundle.exponent)
        self.room.give(above)
        return None

    def _down(
        self, above: Array, first: int, step: Step, norms: list[Norms], delta: Array, below: Array
    ) -> bool:
        """One step from ``above`` to ``below`` by way of ``delta``, the squares of the norms noted; whether without
        a shift."""
        c, k, local = step
        rows = slice(first, first + above.shape[2])
        if self.ln_adjoint is not None:
            norms[1].squares[c, :, rows] = squared_norms(above)
        lacking = self.stack.cell.step_adjoint(self.stack.weights, local, above, delta, below)
        terms = delta[: self.gates]
        norms[0].squares[c, :, rows] = squared_norms(terms)
        if self.error_terms is not None:
            self.error_terms(k - 1, first, unit_rows(terms))
        return lacking.delta is None and lacking.adjoint is None

    def _carefully(
        self, bundle: Bundle, first: int, steps: Steps, norms: list[Norms], terms: Terms | None
    ) -> Bundle:
        """Down the steps; the rows are rescaled at each of them."""
        start, shape, kept = bundle.value, bundle.value.shape, terms if self.alone else None
        own = None if kept else self._take(self.blocks, *shape[1:])
        for c, k, local in steps:
            above = bundle.value
            squares = bundle.rescale()
            if self.ln_adjoint is not None:
                norms[1].put(c, first, bundle, squares)
            delta = kept.value[:, :, c, None] if kept else own
            bundle, down = back(self.stack, bundle, local, delta, self._take(*shape))
            term = Bundle(down.value[: self.gates], down.exponent)
            norms[0].put(c, first, term, term.rescale())
            if self.error_terms is not None:
                self.error_terms(k - 1, first, unit_rows(term.value))
            if kept:
                kept.exponent[:, c] = self.rows.absolute(down)[:, 0]
            if above is not start:
                self.room.give(above)
        if own is not None:
            self.room.give(own)
        return bundle

    def _join(
        self, joined: dict[int, Joining], first: int, steps: Steps, norms: list[Norms], terms: Terms | None
    ) -> None:
        """Let the rows of the stretch's loss times, by their step, join and go down."""
        if not joined:
            return
        if list(joined) == [steps[0][1]]:
            young = self._through(joined[steps[0][1]].bare, first, steps, norms, terms)
        else:
            young = None if self.alone else self._join_freely(joined, first, steps, norms)
            young = young or self._join_carefully(joined, first, steps, norms, terms)
        if self.bundles and self.bundles[-1].rows + young.rows <= self.together:
            last = self.bundles[-1]
            self.bundles[-1] = last.joined(young)
            self.room.give(last.value, young.value)
        else:
            self.bundles.append(young)

    def _join_freely(
        self, joined: dict[int, Joining], first: int, steps: Steps, norms: list[Norms]
    ) -> Bundle | None:
        """The rows as one bundle that grows in place, looked at behind the stretch; None where it is not safe."""
        rows, joins = slice(first, first + len(joined)), list[int]()
        shape = next(iter(joined.values())).bare.value.shape
        shape = (*shape[:2], len(joined), *shape[3:])
        above, below = self._take(*shape), self._take(*shape)
        own = None if self.over else self._take(self.blocks, *shape[1:])
        exponent = np.concatenate([joining.bare.exponent for joining in joined.values()], axis=1)
        safe = bool((exponent == 0).all())
        for one in norms:
            one.squares[:, :, rows] = 1
        for c, k, local in steps if safe else ():
            if k in joined:
                above[:, :, len(joins)] = joined[k].bare.value[:, :, 0]
                joins.append(c)
            if q := len(joins):
                delta = above if own is None else own
                part = above[:, :, :q], first, (c, k, local), norms, delta[:, :, :q], below[:, :, :q]
                safe = self._down(*part) and safe
                above, below = below, above
        for one in norms:
            safe = safe and in_range(one.squares[:, :, rows], above.dtype)
            for row, c in enumerate(joins, first):
                one.squares[c + 1 :, :, row] = 0
        self.room.give(below, *(() if own is None else (own,)))
        if safe:
            return Bundle(above, exponent)
        for one in norms:
            one.squares[:, :, rows] = 0
        self.room.give(above)
        return None

    def _join_carefully(
        self, joined: dict[int, Joining], first: int, steps: Steps, norms: list[Norms], terms: Terms | None
    ) -> Bundle:
        """The rows as a bundle that is rescaled at every step."""
        young: Bundle | None = None
        for step in steps:
            if step[1] in joined:
                bare, alone = joined[step[1]].bare, young
                young = bare if alone is None else alone.joined(bare)
                if alone is not None:
                    self.room.give(alone.value)
            if young is not None:
                above = young.value
                young = self._carefully(young, first, [step], norms, terms)
                self.room.give(above)
        assert young is not None
        return young

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


def rows_together(B: int, N: int, components: int) -> int:
    """Rows of a bundle that the processor's cache holds with what is made of it; of every point alike."""
    return max(1, _TOGETHER // (components * B * N))
