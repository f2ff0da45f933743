"""The way down the tape: the local derivatives of every step, the later ones first, for any bundle of rows.

Everything that is measured backwards is a bundle of adjoint rows taken down by ``back``: one row for the last
loss, a row joining at every loss time, N unit rows for a Jacobian product, random ones for a calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells.base import Array, Chunk
from .scale import Bundle
from .segment import Segment
from .stack import Stack
from .tape import Tape


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps of a tape, as a ``part`` of a segment; what W multiplies there (P, C, B, M), and the cell's
    local derivatives, each (C, …) or None."""

    part: Segment
    drive: Array
    local: tuple[Any, ...]

    @property
    def start(self) -> int:
        """The step before its first, from 1: its first from 0."""
        return self.part.start

    @property
    def stop(self) -> int:
        """Its last step, from 1."""
        return self.part.stop

    def steps(self) -> list[tuple[int, tuple[Any, ...]]]:
        """Every step k (from 1) with its local derivatives, the last one first."""
        numbers = range(self.stop, self.start, -1)
        parts = ([None] * len(numbers) if part is None else list(part[::-1]) for part in self.local)
        return list(
            zip(numbers, zip(*parts, strict=True) if self.local else [()] * len(numbers), strict=True)
        )

    def after(self, times: Sequence[int]) -> Array:
        """The states behind some of its steps (from 1): (R, components, P, B, N)."""
        return self.part.at(np.array(times) - self.start)

    @property
    def before(self) -> Array:
        """What the gradients of recurrent arrays multiply: the states before (components, C, P, B, N), or loops."""
        return self.part.before.swapaxes(0, 1)

    def chunk(self, delta: Array) -> Chunk:
        """Its steps with error terms (G + extra, P, C, B, N), for sums over time."""
        return Chunk(delta, self.before, self.drive, self.local, self.part.rows)


def descent(stack: Stack, tape: Tape, columns: int | None = None) -> Iterator[Stretch]:
    """The stretches of a tape from its end to its beginning; of the first ``columns`` batch columns only."""
    size, drive = stretch_steps(stack), stack.drive[:, :, :columns]
    for segment in tape.segments(backwards=True):
        for first in reversed(range(0, segment.stop - segment.start, size)):
            part = segment.part(first, first + size, columns)
            yield Stretch(part, drive[:, part.start : part.stop], stack.cell.local(stack.weights, part))


def stretch_steps(stack: Stack) -> int:
    """Steps whose gradients are one product and whose norms are looked at together: some 512 columns.

    A power of two, so that stretches end where the tape's segments do.
    """
    return steps_of(stack.inputs.shape[2])


def steps_of(B: int) -> int:
    """Steps of a stretch with B columns."""
    return 1 << (max(1, min(64, 512 // B)).bit_length() - 1)


def back(
    stack: Stack,
    bundle: Bundle,
    local: tuple[Any, ...],
    delta: Array | None = None,
    adjoint: Array | None = None,
) -> tuple[Bundle, Bundle]:
    """One step down: λ_{k−1} and the error terms δ_k of a bundle λ_k. Its rows should be in the safe range.

    They are written to ``adjoint`` and ``delta`` (G + extra, P, Q, B, N), where these are given.
    """
    rows, cell = bundle.value, stack.cell
    if delta is None:
        delta = np.empty((len(cell.gates) + cell.extra, *rows.shape[1:]), rows.dtype)
    if adjoint is None:
        adjoint = np.empty_like(rows)
    lacking = cell.step_adjoint(stack.weights, local, rows, delta, adjoint)
    above = below = bundle.exponent
    if lacking.adjoint is not None:
        below = below + lacking.adjoint[:, None]
    if lacking.delta is not None:
        above = above + lacking.delta[:, None]
    return Bundle(adjoint, below), Bundle(delta, above)
