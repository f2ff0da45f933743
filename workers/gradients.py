"""Gradients of the loss: sums over time of δ_k h_{k−1}ᵀ, on a logarithmic scale.

The error terms of a chunk of steps come with one exponent of two a step and column. They are brought to one
exponent a point, multiplied as one product, and added to sums that carry an exponent of their own: a gradient
of 1e+4000 keeps its logarithm, and so does one of 1e−4000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array, Cell, Chunk
from .outputs import Outputs
from .products import outer
from .room import Room
from .scale import DEAD, LN2, Exponents, add, rescaled, squared_norms, times_power
from .stack import Stack

Sums = dict[str, tuple[Array, Exponents]]
"""By array: a sum (P, size) and the exponent of two (P,) that it lacks."""


@dataclass(frozen=True)
class Terms:
    """Error terms of some steps of a stretch of C: value (G + extra, P, C, B, N) and exponent (P, C, B)."""

    value: Array
    exponent: Exponents
    steps: list[int]

    @classmethod
    def of(cls, stack: Stack, C: int, room: Room | None = None) -> Terms:
        """No error terms yet; their array may be lent by a room."""
        P, _, B, _ = stack.inputs.shape
        blocks, dtype = len(stack.cell.gates) + stack.cell.extra, stack.weights.V.dtype
        value = (room or Room()).take((blocks, P, C, B, stack.weights.V.shape[-1]), dtype)
        value.fill(0)
        return cls(value, np.full((P, C, B), DEAD, np.int64), [])

    def again(self, C: int) -> Terms:
        """The same arrays for the next C steps, no more than there were: each is put anew."""
        return Terms(self.value[:, :, :C], np.full_like(self.exponent[:, :C], DEAD), [])

    def put(self, c: int, value: Array, exponent: Exponents) -> None:
        """Those of the c-th step: (G + extra, P, B, N), (P, B)."""
        self.value[:, :, c], self.exponent[:, c] = value, exponent
        self.steps.append(c)


class Gradients:
    """∂L/∂θ of every trained array of a stack of P points, L averaged over the B columns."""

    def __init__(self, cell: Cell, B: int) -> None:
        self._cell, self._B = cell, B
        self._sums: Sums = {}

    def add_read_out(self, outputs: Outputs) -> None:
        """∂L/∂V = Σ (∂ℓ/∂ŷ) hᵀ and ∂L/∂d = Σ ∂ℓ/∂ŷ over loss times and columns."""
        error, exponent = _common(outputs.error[None], outputs.exponent)
        _, P, R, B, K = error.shape
        left = error.reshape(1, P, R * B, K)
        hidden, moved = _tame(outputs.hidden.reshape(P, R * B, -1))
        self._add("V", outer(left, hidden), exponent + moved)
        self._add("d", outer(left, np.ones((P, R * B, 1), left.dtype))[..., 0], exponent)

    def add(self, chunk: Chunk, exponent: Exponents, in_place: bool = False) -> None:
        """Add the steps of a chunk whose error terms are chunk.delta · 2^exponent, exponent (P, C, B).

        They may be changed ``in_place``.

        Where one scale a point cannot hold them (large error terms may meet zero inputs, and then the small ones
        are the gradient), the point's steps are added in halves.
        """
        wide = _spread(exponent) > (60 if chunk.delta.dtype == np.float32 else 600)
        if wide.any() and exponent.shape[1] > 1:
            half, masked = exponent.shape[1] // 2, wide[:, None, None]
            for steps in (slice(half, None), slice(0, half)):
                self.add(chunk.part(steps), np.where(masked, exponent[:, steps], DEAD))
            exponent, in_place = np.where(masked, DEAD, exponent), False
        delta, scale = _common(chunk.delta, exponent, in_place)
        parts = self._cell.gradients(chunk._replace(delta=delta))
        sizes = {name: _size(part) for name, part in parts.items()}
        if not np.isfinite(sum(sizes.values())).all():
            parts, moved = self._tamed(chunk._replace(delta=delta))
            for name, part in parts.items():
                self._add(name, part, scale + moved[name])
            return
        for name, part in parts.items():
            self._add(name, part, scale, sizes[name])

    def _tamed(self, chunk: Chunk) -> tuple[dict[str, Array], dict[str, Exponents]]:
        """The same sums where products of large states or inputs overflow: these are scaled down first."""
        states, with_states = _tame(chunk.before.transpose(2, 0, 1, 3, 4))
        drive, with_drive = _tame(chunk.drive)
        parts = self._cell.gradients(
            chunk._replace(before=states.transpose(1, 2, 0, 3, 4), drive=drive, rows=None)
        )
        none = np.zeros_like(with_drive)
        by = dict.fromkeys(("U", "a", "rho", "theta"), with_states) | {"W": with_drive}
        return parts, {n: by.get(n, none) for n in parts}

    def _add(self, name: str, part: Array, exponent: Exponents, size: NDArray | None = None) -> None:
        """Add (P, …) · 2^exponent, of which ``size`` is the squared norm (P,) where that is known."""
        flat, usual = np.ascontiguousarray(part.reshape(len(part), -1)), _USUAL[part.dtype.char]
        if size is None or not ((size > 1 / usual) & (size < usual)).all():
            rows, moved = rescaled(flat[None], np.ones(len(part), np.bool_))
            flat, exponent = rows[0], np.where(rows[0].any(axis=-1), exponent + moved, DEAD)
        if name not in self._sums:
            self._sums[name] = flat, exponent
            return
        value, scale = self._sums[name]
        if (scale == exponent).all():
            value += flat
        else:
            self._sums[name] = add(value, scale, flat, exponent)

    @property
    def sums(self) -> Sums:
        """The sums with a largest element in [½, 1): how they came about cannot be told from them."""
        found = {}
        for name, (value, exponent) in self._sums.items():
            scaled, moved = rescaled(value[None], np.ones(len(value), np.bool_))
            found[name] = scaled[0], np.where(scaled[0].any(axis=-1), exponent + moved, DEAD)
        return found

    def ln_norms(self) -> dict[str, NDArray[np.float64]]:
        """ln‖∂L/∂θ‖ (Frobenius) of every array, (P,)."""
        return {
            name: 0.5 * np.log(squared_norms(value[None])) + exponent * LN2 - np.log(self._B)
            for name, (value, exponent) in self.sums.items()
        }

    def arrays(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
        """Every gradient as (P, *shape); ±inf where it is beyond the range of the dtype, never NaN."""
        return {
            name: (times_power(value, exponent) / self._B).reshape(len(value), *shapes[name])
            for name, (value, exponent) in self._sums.items()
        }


def _common(delta: Array, exponent: Exponents, in_place: bool = False) -> tuple[Array, Exponents]:
    """Rows (G, P, …, N) with exponents (P, …) on one scale a point, and that scale (P,); dead rows are zero."""
    scale = exponent.reshape(len(exponent), -1).max(axis=-1)
    scale = np.where(scale <= DEAD // 2, 0, scale)
    return times_power(delta, exponent - scale.reshape(-1, *[1] * (exponent.ndim - 1)), in_place), scale


def _size(part: Array) -> NDArray[np.floating]:
    """‖part‖² (P,) of (P, …), in its dtype: zero where it underflows, not finite where it overflows."""
    flat = np.ascontiguousarray(part.reshape(len(part), -1))
    return np.vecdot(flat, flat)


_USUAL = {"f": 2.0**60, "d": 2.0**600}
"""By the dtype's letter: squared norms of sums up to it, and down to its inverse, need no scale of their own."""


def _spread(exponent: Exponents) -> Exponents:
    """How far apart the exponents (P, …) of a point's live rows are, (P,)."""
    flat = exponent.reshape(len(exponent), -1)
    high = flat.max(axis=-1)
    low = np.where(flat <= DEAD // 2, high[:, None], flat).min(axis=-1)
    return high - low


def _tame(array: Array) -> tuple[Array, Exponents]:
    """(P, …) with a largest element in [½, 1) a point, where it was above 2^40, and the exponents taken out."""
    peak = np.abs(array).reshape(len(array), -1).max(axis=-1)
    exponent = np.where((peak > 2.0**40) & np.isfinite(peak), np.frexp(peak)[1], 0).astype(np.int64)
    if not exponent.any():
        return array, exponent
    shift = np.clip(-exponent, -4000, 4000).astype(np.int32)
    return np.ldexp(array, shift.reshape(-1, *[1] * (array.ndim - 1))), exponent
