"""The forward sweep, and what it keeps: every step, checkpoints from which the steps are made again, or loops.

Every kind of tape is read by segments of consecutive steps. A segment that is made again has the bits of the
first time: it starts from a stored state, and its inputs are projected in the same products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .loops import Loops
from .projection import project, projected
from .room import Room
from .segment import SEGMENT, Recorded, Segment
from .stack import Array, Stack


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

    def doubtful(self) -> NDArray[np.bool_]:
        """Of which points a state may be infinite or NaN, (P,)."""
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
        yield Recorded(0, self.states, self.net, self.rows)

    def cut(self, steps: int) -> Whole:
        """Its first steps."""
        rows = None if self.rows is None else self.rows[:, :steps]
        return Whole(self.states[: steps + 1], self.net[:steps], rows)

    def at(self, times: Sequence[int]) -> Array:
        return self.states[np.array(times)]

    def doubtful(self) -> NDArray[np.bool_]:
        return _infinite(self.last)

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

    def _segment(self, i: int) -> Recorded:
        start = i * self.spacing
        return advance(self.stack, self.states[i], start, min(start + self.spacing, self.steps))

    def release(self, room: Room) -> None:
        """Nothing was lent."""

    def doubtful(self) -> NDArray[np.bool_]:
        return _infinite(self.last)

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


def forward(stack: Stack, checkpoints: bool = False, room: Room | None = None) -> Whole | Checkpoints | Loops:
    """Run the stack from s_0 = 0 over its T steps. A whole tape is in memory that ``room`` lends."""
    if stack.cell.commutes:
        return Loops.of(stack)
    T, state = stack.inputs.shape[1], _start(stack)
    if not checkpoints:
        whole = advance(stack, state, 0, T, room)
        return Whole(whole.states, whole.net, whole.rows)
    spacing = spacing_of(T)
    kept = np.empty((math.ceil(T / spacing), *state.shape), state.dtype)
    for i in range(len(kept)):
        kept[i] = state
        state = advance(stack, state, i * spacing, min((i + 1) * spacing, T)).states[-1].copy()
    return Checkpoints(stack, kept, state, spacing)


def passing(stack: Stack) -> Iterator[Segment]:
    """The segments of a forward sweep in order, of which no tape is kept; they have the bits of one."""
    if stack.cell.commutes:
        yield from Loops.of(stack).segments()
        return
    T, state = stack.inputs.shape[1], _start(stack)
    for start in range(0, T, SEGMENT):
        segment = advance(stack, state, start, min(start + SEGMENT, T))
        yield segment
        state = segment.states[-1]


def _start(stack: Stack) -> Array:
    """s_0 = 0, (components, P, B, N)."""
    P, _, B, _ = stack.inputs.shape
    return np.zeros((stack.cell.components, P, B, stack.weights.V.shape[-1]), stack.weights.V.dtype)


def spacing_of(T: int) -> int:
    """Recorded between checkpoints: some √T, a multiple of SEGMENT."""
    return SEGMENT * math.ceil(math.sqrt(T) / SEGMENT)


def advance(stack: Stack, state: Array, start: int, stop: int, room: Room | None = None) -> Recorded:
    """The steps start+1 … stop from the state before them; ``start`` is a multiple of SEGMENT."""
    cell, C, room = stack.cell, stop - start, room or Room()
    _, P, B, N = state.shape
    net = room.take((C, len(cell.gates) + cell.spare, P, B, N), state.dtype)
    walk = _augmented_steps if cell.augmented else _driven_steps
    return walk(stack, state, start, net, room)


def _augmented_steps(stack: Stack, state: Array, start: int, net: Array, room: Room) -> Recorded:
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
    return Recorded(start, states, net, rows[:, :C])


def _driven_steps(stack: Stack, state: Array, start: int, net: Array, room: Room) -> Recorded:
    """Of any other cell: the inputs of a few steps are projected in one product, while the cache is warm."""
    states = room.take((len(net) + 1, *state.shape), state.dtype)
    states[0] = state
    together = projected(net.shape[3])
    for first in range(0, len(net), together):
        last = min(first + together, len(net))
        project(stack.weights, stack.drive[:, start + first : start + last], net[first:last])
        for k in range(first, last):
            stack.cell.step(stack.weights, net[k], net[k, 0], states[k], states[k + 1])
    return Recorded(start, states, net)


def overflow_step(tape: Tape) -> NDArray[np.int64]:
    """The first step, from 1, at which a state is not finite; 0 where all are. One number a point (P,)."""
    doubtful = tape.doubtful()
    steps, left = np.zeros(len(doubtful), np.int64), np.flatnonzero(doubtful)
    for segment in tape.segments() if len(left) else ():
        states = segment.states
        for p in left[steps[left] == 0]:
            finite = np.isfinite(states[:, :, p]).all(axis=(1, 2, 3))
            if not finite.all():
                steps[p] = segment.start + int(np.argmin(finite))
    return steps


def _infinite(last: Array) -> NDArray[np.bool_]:
    """Points whose last state (components, P, B, N) is not finite: one that has overflowed stays so."""
    return np.logical_not(np.isfinite(last).all(axis=(0, 2, 3)))
