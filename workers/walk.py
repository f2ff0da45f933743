"""A bundle of adjoint rows down a stretch of steps: freely while it is safe, with care where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .cells.base import Array
from .descent import back
from .gradients import Terms
from .loops import powers
from .norms import Norms
from .room import Room
from .scale import DEAD, Bundle, Exponents, squared_norms, unit_rows
from .stack import Stack

Rows = Callable[[int, int, Array], None]
Step = tuple[int, int, tuple[Any, ...]]
"""Index in its stretch, step from 1, local derivatives."""

_CACHED = 1 << 15  # elements of error terms


class Way(NamedTuple):
    """The steps of a stretch, the last one first; where the norms of δ and of λ are noted at each; and where the
    error terms are kept, if one row is all there is."""

    steps: Sequence[Step]
    norms: Sequence[Norms]
    kept: Terms | None


class Walk:
    """Takes bundles down, through memory that ``room`` lends.

    ``absolute`` gives the exponents of rows with those of their starts, for error terms that are kept; with
    ``adjoints`` the norms of λ are noted as well.
    """

    def __init__(
        self,
        stack: Stack,
        error_terms: Rows | None,
        adjoints: bool,
        room: Room,
        absolute: Callable[..., Exponents],
    ) -> None:
        cell = stack.cell
        self.stack, self.error_terms, self.adjoints = stack, error_terms, adjoints
        self.room, self.absolute = room, absolute
        self.gates, self.blocks = len(cell.gates), len(cell.gates) + cell.extra
        self.over = cell.same or (cell.over and not adjoints)  # δ may be where λ was
        self._made: dict[int, tuple[Array, Exponents]] = {}

    def take(self, *shape: int) -> Array:
        """An array that the room lends."""
        return self.room.take(shape, self.stack.weights.V.dtype)

    def through(self, bundle: Bundle, first: int, way: Way) -> Bundle:
        """A bundle behind all of the steps. Norms are looked at behind them: most stretches are safe throughout,
        and one that is not is gone through again. Row by row the bits are the same."""
        before = bundle.value
        bundle.rescale(ahead=len(way.steps))
        if bundle.value is not before:
            self.room.give(before)
        start, after = bundle.value, None
        if self.stack.cell.commutes and way.kept:
            after = self._by_powers(bundle, way, way.kept)
        elif bundle.exponent.min() > DEAD // 2:
            after = self._freely(bundle, first, way)
        after = after or self.carefully(bundle, first, way)
        self.room.give(start)
        return after

    def _freely(self, bundle: Bundle, first: int, way: Way) -> Bundle | None:
        """Down the steps without a look at the norms before the end; None where one is not safe then."""
        places, lent = self._places(bundle.value, way)
        safe, last = True, places[-1][-1]
        for step, (above, delta, below) in zip(way.steps, places, strict=True):
            safe = self.down(above, first, step, way.norms, delta, below) and safe
        for one in way.norms:
            one.scale(slice(None), first, bundle)
            safe = safe and one.safe(first, bundle)
        if way.kept:
            way.kept.exponent[:] = self.absolute(bundle, alive=True)
        self.room.give(*(array for array in lent if array is not last))
        if safe:
            return Bundle(last, bundle.exponent)
        self.room.give(last)
        return None

    def _by_powers(self, bundle: Bundle, way: Way, kept: Terms) -> Bundle:
        """The only row of a cell that commutes, times the powers of its loop: steps at once, always in range."""
        C = len(way.steps)
        value, exponent = self._powers(C)
        down = value[C - 1 :: -1].T[:, :, None, None], exponent[C - 1 :: -1, :, None]
        start, squares = bundle.value[0], np.empty(kept.exponent.shape)
        several = max(1, _CACHED // kept.value[0, 0].size)
        for p in range(0, len(start), several):  # while the cache holds them
            some = slice(p, p + several)
            np.multiply(start[some], down[0][some], out=kept.value[0, some])
            squares[some] = squared_norms(kept.value[:, some])
        squares = squares.swapaxes(0, 1)[:, :, None]
        kept.exponent[:] = self.absolute(bundle) + down[1].swapaxes(0, 1)
        (norms,) = way.norms
        norms.squares[:], norms.exponent[:] = squares, bundle.exponent + down[1][:, :, None]
        norms.scaled = bool(norms.exponent.any())
        if self.error_terms is not None:
            for c, k, _ in way.steps:
                self.error_terms(k - 1, 0, unit_rows(kept.value[:, :, c, None]))
        last = self.take(*bundle.value.shape)
        np.multiply(start, value[C, :, None, None, None], out=last[0])
        return Bundle(last, bundle.exponent + exponent[C, :, None, None])

    def _powers(self, C: int) -> tuple[Array, Exponents]:
        """Powers of the loops, from 0 to C; made once."""
        assert self.stack.weights.a is not None
        if C not in self._made:
            self._made[C] = powers(self.stack.weights.a[:, 0, 0], C)
        return self._made[C]

    def _places(self, start: Array, way: Way) -> tuple[list[tuple[Array, Array, Array]], list[Array]]:
        """Where λ_k, δ_k and λ_{k−1} of every step are, λ_T at the ``start``, which stays; and what is lent."""
        lent, kept = [self.take(*start.shape)], way.kept
        slots = [kept.value[:, :, c, None] for c, _, _ in way.steps] if kept else None
        if slots and self.stack.cell.same:
            np.copyto(slots[0], start)
            return list(zip(slots, slots, [*slots[1:], *lent], strict=True)), lent
        lent.append(self.take(*start.shape))
        if not (slots or self.over):
            lent.append(self.take(self.blocks, *start.shape[1:]))
        places, above, below = list[tuple[Array, Array, Array]](), start, lent[0]
        for i in range(len(way.steps)):
            if slots:
                delta = slots[i]
            elif self.over:
                delta = above if i else lent[1]
            else:
                delta = lent[2]
            places.append((above, delta, below))
            above, below = below, lent[1] if below is lent[0] else lent[0]
        return places, lent

    def down(
        self, above: Array, first: int, step: Step, norms: Sequence[Norms], delta: Array, below: Array
    ) -> bool:
        """One step from ``above`` to ``below`` by way of ``delta``, the squares of the norms noted; whether without
        a shift."""
        c, k, local = step
        rows = slice(first, first + above.shape[2])
        if self.adjoints:
            norms[1].squares[c, :, rows] = squared_norms(above)
        lacking = self.stack.cell.step_adjoint(self.stack.weights, local, above, delta, below)
        terms = delta[: self.gates]
        norms[0].squares[c, :, rows] = squared_norms(terms)
        if self.error_terms is not None:
            self.error_terms(k - 1, first, unit_rows(terms))
        return lacking.delta is None and lacking.adjoint is None

    def carefully(self, bundle: Bundle, first: int, way: Way) -> Bundle:
        """Down the steps; the rows are rescaled at each of them."""
        start, shape, kept = bundle.value, bundle.value.shape, way.kept
        own = None if kept else self.take(self.blocks, *shape[1:])
        for c, k, local in way.steps:
            above = bundle.value
            squares = bundle.rescale()
            if self.adjoints:
                way.norms[1].put(c, first, bundle, squares)
            delta = kept.value[:, :, c, None] if kept else own
            bundle, down = back(self.stack, bundle, local, delta, self.take(*shape))
            term = Bundle(down.value[: self.gates], down.exponent)
            way.norms[0].put(c, first, term, term.rescale())
            if self.error_terms is not None:
                self.error_terms(k - 1, first, unit_rows(term.value))
            if kept:
                kept.exponent[:, c] = self.absolute(down)[:, 0]
            if above is not start:
                self.room.give(above)
        if own is not None:
            self.room.give(own)
        return bundle
