"""Consecutive steps of a tape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array, Steps

SEGMENT = 64
"""Segments of a tape that is read by parts start at its multiples."""


class Segment(Steps, Protocol):
    """C consecutive steps of a tape.

    ``rows`` of an augmented cell (P, C, B, N + M + 1) are what its net inputs are made of: h before the step, x and
    1 side by side; of a cell that commutes g(x) and the loops before the step (P, C, B, 2 M).
    """

    @property
    def rows(self) -> Array | None: ...
    @property
    def before(self) -> Array:
        """What gradients of recurrent arrays multiply: (C, components, P, B, N), or the loops (C, 1, P, B, M)."""
        ...

    def at(self, places: NDArray[np.int64]) -> Array:
        """States at some places, of which 0 is before the first step: (R, components, P, B, N)."""
        ...

    def part(self, first: int, last: int, columns: int | None = None) -> Segment:
        """Some of its steps, counted from its first; of the first batch columns only, then as contiguous copies."""
        ...


@dataclass(frozen=True)
class Recorded:
    """A segment as the cell's steps leave it."""

    start: int
    states: Array
    net: Array
    rows: Array | None = None

    @property
    def stop(self) -> int:
        return self.start + len(self.net)

    @property
    def before(self) -> Array:
        return self.states[:-1]

    def at(self, places: NDArray[np.int64]) -> Array:
        return self.states[places]

    def part(self, first: int, last: int, columns: int | None = None) -> Recorded:
        states, net = self.states[first : last + 1], self.net[first:last]
        rows = None if self.rows is None else self.rows[:, first:last]
        if columns is not None and columns < net.shape[3]:
            states, net = (np.ascontiguousarray(a[:, :, :, :columns]) for a in (states, net))
            rows = None if rows is None else np.ascontiguousarray(rows[:, :, :columns])
        return Recorded(self.start + first, states, net, rows)
