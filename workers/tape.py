"""The forward sweep, and what it keeps: every step, or checkpoints from which the steps are made again.

Both kinds of tape are read by segments of consecutive steps. A segment that is made again has the bits of the
first time: it starts from a stored state, and its inputs are projected in the same products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .room import Room
from .stack import Array, Stack

_COLUMNS = 16  # of a projection
SEGMENT = 64
"""Segments of checkpoints start at its multiples."""


@dataclass(frozen=True)
class Segment:
    """C consecutive steps from ``start`` (from 0) on: states (C+1, components, P, B, N), states[0] the one before
    them; net (C, G + spare, P, B, N), the net inputs z and behind them what the cell put aside; of an augmented
    cell rows (P, C, B, N + M + 1), what its net inputs are made of: h before the step, x and 1 side by side."""

    start: int
    states: Array
    net: Array
    rows: Array | None = None

    @property
    def stop(self) -> int:
        """The step after the last, from 0."""
        return self.start + len(self.net)

    def part(self, first: int, last: int, columns: int | None = None) -> Segment:
        """Some of its steps, counted from its first; of the first batch columns only, then as contiguous copies."""
        states, net = self.states[first : last + 1], self.net[first:last]
        rows = None if self.rows is None else self.rows[:, first:last]
        if columns is not None and columns < net.shape[3]:
            states, net = (np.ascontiguousarray(a[:, :, :, :columns]) for a in (states, net))
            rows = None if rows is None else np.ascontiguousarray(rows[:, :, :columns])
        return Segment(self.start + first, states, net, rows)


class Tape(Protocol):
    """What a forward sweep keeps of ``steps`` steps; ``last`` is the state behind them (components, P, B, N)."""

    @property
    def steps(self) -> int: ...
    @property
    def last(self) -> Array: ...
    def segments(self, backwards: bool = False) -> Iterator[Segment]:
        """All steps in order, the first or the last segment first. Segments start at multiples of SEGMENT."""
        ...

    def at(self, times: Sequence[int]) -> Array:
        """The states behind these steps (from 1, ascending): (R, components, P, B, N)."""
        ...

    def release(self, room: Room) -> None:
        """Give back what the room lent; the tape must not be read any more."""
        ...


@dataclass(frozen=True)
class Whole:
    """A tape with every step: states (T+1, components, P, B, N), states[0] the start; net (T, G+spare, P, B, N);
    rows (P, T, B, N + M + 1) or None."""

    states: Array
    net: Array
    rows: Array | None = None

    @property
    def steps(self) -> int:
        return len(self.net)

    @property
    def last(self) -> Array:
        return self.states[-1]

    def segments(self, backwards: bool = False) -> Iterator[Segment]:
        yield Segment(0, self.states, self.net, self.rows)

    def cut(self, steps: int) -> Whole:
        """Its first steps."""
        rows = None if self.rows is None else self.rows[:, :steps]
        return Whole(self.states[: steps + 1], self.net[:steps], rows)

    def at(self, times: Sequence[int]) -> Array:
        return self.states[np.array(times)]

    def release(self, room: Room) -> None:
        """Give its memory back."""
        room.give(self.net, *(() if self.rows is None else (self.rows,)))
        if self.rows is None or self.states.base is not self.rows.base:
            room.give(self.states)


@dataclass(frozen=True)
class Checkpoints:
    """A tape with the state at every ``spacing``-th step: states (n, components, P, B, N), and the last one.

    Reading it costs a forward sweep; it needs some √T of the memory (Griewank 1992 with one level).
    """

    stack: Stack
    states: Array
    last: Array
    spacing: int

    @property
    def steps(self) -> int:
        return self.stack.inputs.shape[1]

    def segments(self, backwards: bool = False) -> Iterator[Segment]:
        count = len(self.states)
        for i in reversed(range(count)) if backwards else range(count):
            yield self._segment(i)

    def _segment(self, i: int) -> Segment:
        start = i * self.spacing
        return advance(self.stack, self.states[i], start, min(start + self.spacing, self.steps))

    def release(self, room: Room) -> None:
        """Nothing was lent."""

    def at(self, times: Sequence[int]) -> Array:
        wanted = {t: row for row, t in enumerate(times)}
        found = np.empty((len(times), *self.last.shape), self.last.dtype)
        if self.steps in wanted:
            found[wanted.pop(self.steps)] = self.last
        for i in sorted({(t - 1) // self.spacing for t in wanted}):
            segment = self._segment(i)
            for t in range(segment.start + 1, segment.stop + 1):
                if t in wanted:
                    found[wanted[t]] = segment.states[t - segment.start]
        return found


def forward(stack: Stack, checkpoints: bool = False, room: Room | None = None) -> Whole | Checkpoints:
    """Run the stack from s_0 = 0 over its T steps. A whole tape is in memory that ``room`` lends."""
    P, T, B, _ = stack.inputs.shape
    state = np.zeros((stack.cell.components, P, B, stack.weights.V.shape[-1]), stack.weights.V.dtype)
    if not checkpoints:
        whole = advance(stack, state, 0, T, room)
        return Whole(whole.states, whole.net, whole.rows)
    spacing = spacing_of(T)
    kept = np.empty((math.ceil(T / spacing), *state.shape), state.dtype)
    for i in range(len(kept)):
        kept[i] = state
        state = advance(stack, state, i * spacing, min((i + 1) * spacing, T)).states[-1].copy()
    return Checkpoints(stack, kept, state, spacing)


def spacing_of(T: int) -> int:
    """Steps between checkpoints: some √T, a multiple of SEGMENT."""
    return SEGMENT * math.ceil(math.sqrt(T) / SEGMENT)


def advance(stack: Stack, state: Array, start: int, stop: int, room: Room | None = None) -> Segment:
    """The steps start+1 … stop from the state before them; ``start`` is a multiple of SEGMENT."""
    cell, C, room = stack.cell, stop - start, room or Room()
    _, P, B, N = state.shape
    net = room.take((C, len(cell.gates) + cell.spare, P, B, N), state.dtype)
    walk = _augmented_steps if cell.augmented else _driven_steps
    return walk(stack, state, start, net, room)


def _augmented_steps(stack: Stack, state: Array, start: int, net: Array, room: Room) -> Segment:
    """Of an augmented cell: each step's net inputs are products of its rows, which the gradients use again."""
    cell, w, x = stack.cell, stack.weights, stack.drive
    (components, P, B, N), C = state.shape, len(net)
    rows = room.take((P, C + 1, B, N + x.shape[-1] + 1), state.dtype)
    alone = components == 1  # then h in the rows is the state
    states = rows[..., :N].swapaxes(0, 1)[:, None] if alone else room.take((C + 1, *state.shape), state.dtype)
    states[0], rows[:, 0, :, :N] = state, state[0]
    for k in range(C):
        row = rows[:, k]
        row[..., N:-1], row[..., -1] = x[:, start + k], 1
        cell.step(w, net[k], row, states[k], states[k + 1])
        if not alone:
            rows[:, k + 1, :, :N] = states[k + 1, 0]
    return Segment(start, states, net, rows[:, :C])


def _driven_steps(stack: Stack, state: Array, start: int, net: Array, room: Room) -> Segment:
    """Of any other cell: the inputs of a few steps are projected in one product, while the cache is warm."""
    states = room.take((len(net) + 1, *state.shape), state.dtype)
    states[0] = state
    together = projected(net.shape[3])
    for first in range(0, len(net), together):
        last = min(first + together, len(net))
        _project(stack, net[first:last], slice(start + first, start + last))
        for k in range(first, last):
            stack.cell.step(stack.weights, net[k], net[k, 0], states[k], states[k + 1])
    return Segment(start, states, net)


def projected(B: int) -> int:
    """Steps whose input projection is one product: a power of two, and a function of the point alone, so that the
    product has the same shape, and the same bits, in any company."""
    return 1 << max(0, (_COLUMNS // B).bit_length() - 1)


def _project(stack: Stack, net: Array, steps: slice) -> None:
    """Write W x + b of some steps into the net inputs, as one product a block."""
    w, x = stack.weights, stack.drive[:, steps]
    P, C, B, M = x.shape
    for g, W in enumerate(w.W):
        block = net[:, g]
        if M == 1:  # a product without a sum
            np.multiply(x.swapaxes(0, 1), W.swapaxes(-1, -2), out=block)
        elif C == 1:
            np.matmul(x[:, 0], W.swapaxes(-1, -2), out=block[0])
        else:
            product = np.matmul(x.reshape(P, C * B, M), W.swapaxes(-1, -2))
            block[...] = product.reshape(P, C, B, -1).swapaxes(0, 1)
        if w.b is not None:
            block += w.b[g]


def overflow_step(tape: Tape) -> NDArray[np.int64]:
    """The first step, from 1, at which a state is not finite; 0 where all are. One number a point (P,).

    A state that has overflowed stays so: the last one tells whether to search.
    """
    steps = np.zeros(tape.last.shape[1], np.int64)
    lost = np.flatnonzero(~np.isfinite(tape.last).all(axis=(0, 2, 3)))
    for segment in tape.segments() if len(lost) else ():
        for p in lost[steps[lost] == 0]:
            finite = np.isfinite(segment.states[:, :, p]).all(axis=(1, 2, 3))
            if not finite.all():
                steps[p] = segment.start + int(np.argmin(finite))
    return steps
