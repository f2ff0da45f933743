"""One pass down a tape: the rows of the losses join on the way, norms are noted, gradients summed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from .descent import Stretch, back, stretch_steps
from .gradients import Gradients, Terms
from .loss_rows import Joining, LossRows
from .norms import Norms
from .outputs import Outputs
from .room import Room
from .scale import DEAD, Bundle, in_range
from .stack import Stack
from .walk import Rows, Step, Walk, Way

_TOGETHER = 3 << 14  # elements of a bundle


class Sweep:
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
        self.stack, self.room = stack, room
        P, T, B, N = *stack.inputs.shape[:3], stack.weights.V.shape[-1]
        self.alone = len(stack.loss_times) == 1
        self.together = rows_together(B, N, stack.cell.components)
        self.rows, self.bundles = LossRows(stack, outputs), list[Bundle]()
        apart = adjoints and not stack.cell.same  # the norms of λ and of δ
        self.walk = Walk(stack, error_terms, apart, room, self.rows.absolute)
        self.total: Bundle | None = None  # the sum of the rows, where there are several
        self.ln_delta = np.full((P, len(stack.loss_times), T, B), -np.inf)
        self.ln_adjoint = np.full_like(self.ln_delta, -np.inf) if apart else None
        self.alive, self.times = True, np.array(stack.loss_times)
        self.gradients = Gradients(stack.cell, B)
        self.terms = None
        if not norms_only:
            self.gradients.add_read_out(outputs)
            self.terms = Terms.of(stack, min(T, stretch_steps(stack)), room)

    def take(self, stretch: Stretch) -> None:
        """The steps of a stretch, the later ones first."""
        steps = [(k - 1 - stretch.start, k, local) for k, local in stretch.steps()]
        P, _, B = self.rows.starts.shape
        times = self.times[bisect_left(self.stack.loss_times, stretch.start + 1) :]
        behind = len(times)  # rows that will have joined
        norms = [Norms(len(steps), P, behind, B) for _ in range(1 if self.ln_adjoint is None else 2)]
        terms = None if self.terms is None else self.terms.again(len(steps))
        way = Way(steps, norms, terms if self.alone else None)
        joined, first = self.rows.of(stretch), 0
        for i, bundle in enumerate(self.bundles):
            self.bundles[i] = self.walk.through(bundle, first, way)
            first += bundle.rows
        self._join(joined, first, way)
        there = slice(stretch.start, stretch.stop)
        live = norms[0].write(self.ln_delta[:, :, there])
        every = int((np.minimum(times, stretch.stop) - stretch.start).sum())
        self.alive = self.alive and live == P * B * every
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

    def _join(self, joined: dict[int, Joining], first: int, way: Way) -> None:
        """Let the rows of the stretch's loss times, by their step, join and go down."""
        if not joined:
            return
        if list(joined) == [way.steps[0][1]]:
            young = self.walk.through(joined[way.steps[0][1]].bare, first, way)
        else:
            young = None if self.alone else self._join_freely(joined, first, way)
            young = young or self._join_carefully(joined, first, way)
        if self.bundles and self.bundles[-1].rows + young.rows <= self.together:
            last = self.bundles[-1]
            self.bundles[-1] = last.joined(young)
            self.room.give(last.value, young.value)
        else:
            self.bundles.append(young)

    def _join_freely(self, joined: dict[int, Joining], first: int, way: Way) -> Bundle | None:
        """The rows as one bundle that grows in place, looked at behind the stretch; None where it is not safe."""
        rows, joins = slice(first, first + len(joined)), list[int]()
        shape = next(iter(joined.values())).bare.value.shape
        shape = (*shape[:2], len(joined), *shape[3:])
        walk = self.walk
        above, below = walk.take(*shape), walk.take(*shape)
        own = None if walk.over else walk.take(walk.blocks, *shape[1:])
        exponent = np.concatenate([joining.bare.exponent for joining in joined.values()], axis=1)
        safe = bool((exponent == 0).all())
        for one in way.norms:
            one.squares[:, :, rows] = 1
        for c, k, local in way.steps if safe else ():
            if k in joined:
                above[:, :, len(joins)] = joined[k].bare.value[:, :, 0]
                joins.append(c)
            if q := len(joins):
                top = above[:, :, :q]
                delta = top if own is None else own[:, :, :q]
                safe = walk.down(top, first, (c, k, local), way.norms, delta, below[:, :, :q]) and safe
                above, below = below, above
        for one in way.norms:
            safe = safe and in_range(one.squares[:, :, rows], above.dtype)
            for row, c in enumerate(joins, first):
                one.squares[c + 1 :, :, row] = 0
        self.room.give(below, *(() if own is None else (own,)))
        if safe:
            return Bundle(above, exponent)
        for one in way.norms:
            one.squares[:, :, rows] = 0
        self.room.give(above)
        return None

    def _join_carefully(self, joined: dict[int, Joining], first: int, way: Way) -> Bundle:
        """The rows as a bundle that is rescaled at every step."""
        young: Bundle | None = None
        for step in way.steps:
            if step[1] in joined:
                bare, alone = joined[step[1]].bare, young
                young = bare if alone is None else alone.joined(bare)
                if alone is not None:
                    self.room.give(alone.value)
            if young is not None:
                above = young.value
                young = self.walk.carefully(young, first, way._replace(steps=[step]))
                self.room.give(above)
        assert young is not None
        return young

    def _sum(self, joined: dict[int, Joining], steps: Sequence[Step], terms: Terms) -> None:
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
