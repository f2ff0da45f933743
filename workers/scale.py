"""Numbers on a logarithmic scale: a mantissa in the machine's range and an exponent of two beside it.

Rescaling multiplies by an exact power of two, so it leaves every bit of the mantissa alone: when it happens
cannot matter, and a product of ten thousand Jacobians is as exact as its factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import aligned

Array = NDArray[np.floating]
Exponents = NDArray[np.int64]
LN2 = float(np.log(2.0))
_BLOCK = 1 << 14
DEAD = -(2**62)
"""The exponent of a row of zeros: below every other, so that it never sets a common scale."""


@dataclass
class Bundle:
    """Adjoint rows ``value`` (components, P, Q, B, N) times two to the power ``exponent`` (P, Q, B)."""

    value: Array
    exponent: Exponents

    def ln_norms(self) -> NDArray[np.float64]:
        """ln‖row‖ (P, Q, B); rescales, in place, the rows whose norm has left the safe range."""
        squares = self.rescale()  # which may change the exponent
        return ln_of(squares, self.exponent)

    @property
    def rows(self) -> int:
        """Rows a column, Q."""
        return self.exponent.shape[1]

    def rescale(self, ahead: int = 0) -> NDArray[np.float64]:
        """Rescale, in place, the rows whose norm has left the safe range; ‖mantissa‖² of all of them (P, Q, B).

        With so many steps ``ahead`` before the next time, the range is narrower.
        """
        squares = squared_norms(self.value)
        if not in_range(squares, self.value.dtype, ahead):
            low, high = _safe(self.value.dtype, ahead)
            unsafe = np.maximum.reduce((squares <= low) | (squares >= high), axis=-1, keepdims=True)
            self.value, moved = rescaled(self.value, unsafe, _CENTRE[self.value.dtype.char], _ALIKE)
            squares = squared_norms(self.value)
            self.exponent = np.where(squares == 0, DEAD, self.exponent + moved)
        return squares

    def row(self, i: int) -> Bundle:
        """The i-th row of every column (Q = 1)."""
        return Bundle(np.ascontiguousarray(self.value[:, :, i : i + 1]), self.exponent[:, i : i + 1])

    def joined(self, other: Bundle) -> Bundle:
        """This bundle with the rows of another behind its own."""
        return Bundle(
            np.concatenate([self.value, other.value], axis=2),
            np.concatenate([self.exponent, other.exponent], axis=1),
        )

    def plus(self, other: Bundle) -> Bundle:
        """The sum of two bundles of one shape, row by row, on the larger of the two scales."""
        value, exponent = add(self.value, self.exponent, other.value, other.exponent)
        return Bundle(value, exponent)


def ln_of(squares: NDArray[np.float64], exponent: Exponents | None) -> NDArray[np.float64]:
    """ln of the norms √squares · 2^exponent, which is zero where it is None; −inf for zero. No subnormal squares.

    From √m · 2^e with m in [½, 2): whatever part of a row's scale is in its exponent, the digits are the same.
    """
    ln = np.empty(squares.shape)
    flat, left = ln.reshape(-1), np.ascontiguousarray(squares).reshape(-1)
    more = None if exponent is None else np.ascontiguousarray(exponent).reshape(-1)
    for first in range(0, left.size, _BLOCK):
        some = slice(first, first + _BLOCK)
        _put_ln(left[some], None if more is None else more[some], flat[some])
    return ln


def _put_ln(squares: NDArray[np.float64], exponent: Exponents | None, ln: NDArray[np.float64]) -> None:
    """``ln_of`` for so many (n,) that what it needs beside them stays in the cache."""
    bits = squares.view(np.int64)
    e, m = aligned.scratch("e", bits), aligned.scratch("m", bits)
    np.right_shift(bits, 53, out=e)  # half of the biased exponent
    e -= 511
    np.left_shift(e, 53, out=m)
    np.subtract(bits, m, out=m)
    np.log(m.view(np.float64), out=ln)
    ln *= 0.5
    if exponent is not None:
        e += exponent
    ln += np.multiply(e, LN2, out=m.view(np.float64))
    if not np.minimum.reduce(squares) > 0:
        np.copyto(ln, -np.inf, where=squares == 0)
    if not np.maximum.reduce(squares) < np.inf:
        np.copyto(ln, squares, where=~(squares < np.inf))


def add(a: Array, ea: Exponents, b: Array, eb: Exponents) -> tuple[Array, Exponents]:
    """a·2^ea + b·2^eb as (value, exponent); exponents lack the last axis of the values."""
    exponent = np.maximum(ea, eb)
    return times_power(a, ea - exponent) + times_power(b, eb - exponent), exponent


def times_power(value: Array, exponent: Exponents, in_place: bool = False) -> Array:
    """value · 2^exponent, the exponent without value's last axis; the same array where nothing moves."""
    if not exponent.any():
        return value
    power, out = np.clip(exponent, -4000, 4000).astype(np.int32), value if in_place else None
    most = 120 if value.dtype == np.float32 else 1000
    if power.max() <= most and not ((power < -most) & (power > -2 * most - 100)).any():
        # as ldexp to the bit, and ten times as fast; what is smaller still would be zero as well
        factor = np.where(power < -most, 0, np.ldexp(value.dtype.type(1), np.maximum(power, -most)))
        return np.multiply(value, factor.astype(value.dtype)[..., None], out=out)
    return np.ldexp(value, power[..., None], out=out)


def squared_norms(rows: Array) -> NDArray[np.float64]:
    """‖row‖² over all blocks, (blocks, …, N) -> (…): a dot product a row, added in the blocks' order."""
    total, *others = np.vecdot(rows, rows)
    for block in others:
        total += block
    return total.astype(np.float64, copy=False)


def rescaled(
    rows: Array, where: NDArray[np.bool_], centre: int = 0, alike: int = 0
) -> tuple[Array, Exponents]:
    """Rows (blocks, …, N) with a largest element in [½, 1)·2^centre in place of those marked; powers taken.

    Rows (blocks, …, B, N) whose powers are no more than ``alike`` apart over B all lose the largest of them.
    """
    peak = np.abs(rows).max(axis=(0, -1))
    usable = where & (peak > 0) & np.isfinite(peak)
    exponent = np.where(usable, np.frexp(np.where(usable, peak, 1.0))[1] - centre, 0).astype(np.int64)
    if alike:
        most = np.where(usable, exponent, DEAD).max(axis=-1, keepdims=True)
        least = np.where(usable, exponent, -DEAD).min(axis=-1, keepdims=True)
        exponent = np.where(usable & (most - least <= alike), most, exponent)
    return times_power(rows, -exponent), exponent


def unit_rows(rows: Array) -> Array:
    """Rows (blocks, …, N) divided by their norm over all blocks; a row of zeros stays zero."""
    scaled, _ = rescaled(rows, np.ones(rows.shape[1:-1], np.bool_))
    norm = np.sqrt(squared_norms(scaled))[..., None]
    return (scaled / np.where(norm > 0, norm, 1.0)).astype(rows.dtype)


def in_range(squares: NDArray[np.float64], dtype: np.dtype, ahead: int = 0) -> bool:
    """Whether all of these ‖row‖² of mantissas are in the safe range; NaN is not."""
    low, high = _safe(dtype, ahead)
    return bool(np.minimum.reduce(squares, axis=None) > low and np.maximum.reduce(squares, axis=None) < high)


def _safe(dtype: np.dtype, ahead: int = 0) -> tuple[float, float]:
    """Bounds on ‖row‖² that leave room for one more step in either direction; for several, each by 2^±2, as far as
    the type has it."""
    most, middle = 80 if dtype == np.float32 else 400, 2 * _CENTRE[dtype.char]
    room = max(most - 4 * ahead, 8)
    return 2.0 ** (middle - room), 2.0 ** min(middle + room, most)


_ALIKE = 4
"""Powers of two that the columns of a row may be apart and still be rescaled by one: sums over columns need one."""
_CENTRE = {"f": 20, "d": 0}
"""By the dtype's letter: the power of two of a rescaled row's largest element. In single precision its square may
be 2^40, so that those of elements smaller by 2^−83 are no subnormal numbers yet, on which processors stall."""
