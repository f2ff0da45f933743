"""The way down the tape: the local derivatives of every step, the later ones first, for any bundle of rows.

Everything that is measured backwards is a bundle of adjoint rows taken down by ``back``: one row for the last
loss, a row joining at every loss time, N unit rows for a Jacobian product, random ones for a calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells.base import Array, Chunk
from .scale import Bundle
from .stack import Stack
from .tape import Tape


@dataclass(frozen=True)
class Stretch:
    """C consecutive steps: ``start`` (from 0) to ``stop``, states before and after them (components, C, P, B, N),
    what W multiplies there (P, C, B, M), the cell's local derivatives, each (C, …) or None, and of an augmented
    cell the rows [h, x, 1] (P, C, B, N + M + 1)."""

    start: int
    stop: int
    before: Array
    after: Array
    drive: Array
    local: tuple[Any, ...]
    rows: Array | None = None

    def steps(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Every step k (from 1) with its local derivatives, the last one first."""
        for c in reversed(range(self.stop - self.start)):
            yield self.start + c + 1, tuple(None if part is None else part[c] for part in self.local)

    def state(self, t: int) -> Array:
        """The state behind step t of the stretch: (components, P, B, N)."""
        return self.after[:, t - 1 - self.start]

    def chunk(self, delta: Array) -> Chunk:
        """Its steps with error terms (G + extra, P, C, B, N), for sums over time."""
        return Chunk(delta, self.before, self.drive, self.local, self.rows)


def descent(stack: Stack, tape: Tape, columns: int | None = None) -> Iterator[Stretch]:
    """The stretches of a tape from its end to its beginning; of the first ``columns`` batch columns only."""
    size, drive = stretch_steps(stack), stack.drive[:, :, :columns]
    for segment in tape.segments(backwards=True):
        for first in reversed(range(0, len(segment.net), size)):
            part = segment.part(first, first + size, columns)
            before, after = part.states[:-1], part.states[1:]
            local = stack.cell.local(stack.weights, part.net, before, after)
            swapped = (before.swapaxes(0, 1), after.swapaxes(0, 1))
            driven = drive[:, part.start : part.stop]
            yield Stretch(part.start, part.stop, *swapped, driven, local, part.rows)


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
