"""The tape of a cell whose one loop, alike in every unit, commutes with W.

h_t = a h_{t−1} + W g(x_t) from h_0 = 0 is W y_t with y_t = a y_{t−1} + g(x_t): M loops over the inputs stand for N
units. They are all that is kept. A state is their product with W where somebody asks for it, a step at a time, so
that it has the same bits in any company; and Σ δ_k h_{k−1} is the sum of W ⊙ Σ δ_k y_{k−1}ᵀ. Down the tape the
product of a stretch's Jacobians is a power of a.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    """A segment of a tape of loops, ``kept`` (P, 2 M, C + 1, B). States and net inputs are made whenever somebody
    asks."""

    start: int
    stack: Stack
    kept: Array

    @property
    def stop(self) -> int:
        return self.start + self.kept.shape[2] - 1

    @property
    def loops(self) -> Array:
        """Before the first step and behind every one, (C + 1, P, B, M)."""
        return self.kept[:, self.kept.shape[1] // 2 :].transpose(2, 0, 3, 1)

    @property
    def before(self) -> Array:
        return self.loops[:-1, None]

    @property
    def rows(self) -> Array:
        return self.kept[:, :, :-1].transpose(0, 2, 3, 1)

    @property
    def states(self) -> Array:
        return self.at(np.arange(self.stop - self.start + 1))

    def at(self, places: NDArray[np.int64]) -> Array:
        assert self.stack.weights.lift is not None
        loops = np.ascontiguousarray(self.loops[places])  # one layout, and so the same bits
        return np.matmul(loops, self.stack.weights.lift)[:, None]

    @property
    def net(self) -> Array:
        w, drive = self.stack.weights, self.rows[..., : self.kept.shape[1] // 2]
        P, C, B, _ = drive.shape
        net = np.empty((C, 1, P, B, w.V.shape[-1]), w.V.dtype)
        for c in range(C):
            project(w, np.ascontiguousarray(drive[:, c : c + 1]), net[c : c + 1])
        return net

    def part(self, first: int, last: int, columns: int | None = None) -> LoopSteps:
        return LoopSteps(self.start + first, self.stack, self.kept[:, :, first : last + 1, :columns])


@dataclass(frozen=True)
class Loops:
    """A tape: ``kept`` (P, 2 M, T+1, B) is g(x) of every step and the loops before it, which are times the powers
    of two that ``lift`` lacks; behind the last step only loops."""

    stack: Stack
    kept: Array

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
        kept = aligned.empty((P, 2 * M, T + 1, B), drive.dtype)
        kept[:, :M, :T], kept[:, :M, T] = stack.drive.transpose(0, 3, 1, 2), 0
        kept[:, M:] = loops[:, 0].transpose(1, 3, 0, 2)
        return cls(stack, kept)

    @property
    def steps(self) -> int:
        return self.kept.shape[2] - 1

    @property
    def last(self) -> Array:
        return self.at([self.steps])[0]

    @property
    def _whole(self) -> LoopSteps:
        return LoopSteps(0, self.stack, self.kept)

    def segments(self, backwards: bool = False) -> Iterator[LoopSteps]:
        starts = range(0, self.steps, SEGMENT)
        for start in reversed(starts) if backwards else starts:
            yield self._whole.part(start, start + SEGMENT)

    def cut(self, steps: int) -> Loops:
        """Its first steps."""
        return Loops(self.stack, self.kept[:, :, : steps + 1])

    def at(self, times: Sequence[int]) -> Array:
        return self._whole.at(np.array(times))

    def doubtful(self) -> NDArray[np.bool_]:
        """Of which points a state may be infinite or NaN, (P,)."""
        # a loop is smaller than the largest state that it makes by 2^3, unless others cancel it
        M = self.kept.shape[1] // 2
        most = np.abs(self.kept[:, M:]).max(axis=(1, 2, 3))
        return ~(most < np.finfo(most.dtype).max / (64 * M))

    def release(self, room: Room) -> None:
        """Nothing was lent."""


def powers(a: Array, C: int) -> tuple[Array, NDArray[np.int64]]:
    """a^0 … a^C of the loops (P,) of a stack, (C+1, P), and the powers of two that they lack: none for a point all
    of whose powers are in the middle of the range."""
    value, exponent = np.empty((C + 1, len(a)), a.dtype), np.zeros((C + 1, len(a)), np.int64)
    value[0] = 1
    for j in range(C):
        value[j + 1], moved = np.frexp(value[j] * a)
        exponent[j + 1] = exponent[j] + moved
    middle = np.abs(exponent).max(axis=0) <= (20 if a.dtype == np.float32 else 100)
    value[:, middle] = np.ldexp(value[:, middle], exponent[:, middle])
    exponent[:, middle] = 0
    return value, exponent
