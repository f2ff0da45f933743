"""The tape of a cell whose one loop, alike in every unit, commutes with W.

h_t = a h_{t−1} + W g(x_t) from h_0 = 0 is W y_t with y_t = a y_{t−1} + g(x_t): M loops over the inputs stand for N
units. They are all that is kept. A state is their product with W where somebody asks for it, a step at a time, so
that it has the same bits in any company; and Σ δ_k h_{k−1} is the sum of W ⊙ Σ δ_k y_{k−1}ᵀ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import aligned
from .cells.base import Array
from .projection import project
from .room import Room
from .segment import SEGMENT
from .stack import Stack


@dataclass(frozen=True)
class LoopSteps:
    """A segment of loops (P, C+1, B, M), those before its first step first, and what drives them (P, C, B, M).
    States and net inputs are made whenever somebody asks."""

    start: int
    stack: Stack
    loops: Array
    drive: Array

    @property
    def stop(self) -> int:
        return self.start + self.drive.shape[1]

    @property
    def before(self) -> Array:
        return self.loops[:, :-1].swapaxes(0, 1)[:, None]

    @property
    def rows(self) -> None:
        return None

    @property
    def states(self) -> Array:
        return states(self.stack, self.loops)

    @property
    def net(self) -> Array:
        w, (P, C, B, _) = self.stack.weights, self.drive.shape
        net = np.empty((C, 1, P, B, w.V.shape[-1]), w.V.dtype)
        for c in range(C):
            project(w, self.drive[:, c : c + 1], net[c : c + 1])
        return net

    def local(self, stack: Stack) -> tuple[Any, ...]:
        net = self.drive.swapaxes(0, 1)[:, None]
        return stack.cell.local(stack.weights, net, self.before, self.before)

    def part(self, first: int, last: int, columns: int | None = None) -> LoopSteps:
        some = slice(None, columns)
        loops, drive = self.loops[:, first : last + 1, some], self.drive[:, first:last, some]
        return LoopSteps(self.start + first, self.stack, loops, drive)


@dataclass(frozen=True)
class Loops:
    """A tape: ``loops`` (P, T+1, B, M) of every step, times the powers of two that ``lift`` lacks."""

    stack: Stack
    loops: Array

    @classmethod
    def of(cls, stack: Stack) -> Loops:
        """The forward sweep."""
        w, (P, T, B, M) = stack.weights, stack.drive.shape
        assert w.entering is not None
        assert w.a is not None
        # a step's arrays contiguous, and a of full shape: a product of few elements a point is mostly its start
        drive = np.multiply(stack.drive.swapaxes(0, 1), np.repeat(w.entering, B, axis=1), order="C")[:, None]
        loops, w = np.zeros((T + 1, 1, P, B, M), drive.dtype), replace(w, a=np.tile(w.a, (1, B, M)))
        for k, z in enumerate(drive):
            stack.cell.step(w, z, z[0], loops[k], loops[k + 1])
        loops = aligned.copy(loops[:, 0].swapaxes(0, 1))
        return cls(stack, loops)

    @property
    def steps(self) -> int:
        return self.loops.shape[1] - 1

    @property
    def last(self) -> Array:
        return states(self.stack, self.loops[:, -1:])[0]

    def segments(self, backwards: bool = False) -> Iterator[LoopSteps]:
        starts = range(0, self.steps, SEGMENT)
        whole = LoopSteps(0, self.stack, self.loops, self.stack.drive[:, : self.steps])
        for start in reversed(starts) if backwards else starts:
            yield whole.part(start, start + SEGMENT)

    def cut(self, steps: int) -> Loops:
        """Its first steps."""
        return Loops(self.stack, self.loops[:, : steps + 1])

    def at(self, times: Sequence[int]) -> Array:
        return states(self.stack, self.loops[:, np.array(times)])

    def doubtful(self) -> NDArray[np.bool_]:
        """Of which points a state may be infinite or NaN, (P,)."""
        # a loop is smaller than the largest state that it makes by 2^3, unless others cancel it
        most = np.abs(self.loops).max(axis=(1, 2, 3))
        high = np.finfo(most.dtype).max / (64 * self.loops.shape[-1])
        return ~(most < high)

    def release(self, room: Room) -> None:
        """Nothing was lent."""


def states(stack: Stack, loops: Array) -> Array:
    """W y of loops (P, C, B, M) of some steps: (C, 1, P, B, N)."""
    assert stack.weights.lift is not None
    return np.matmul(loops.swapaxes(0, 1), stack.weights.lift)[:, None]
