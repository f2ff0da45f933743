"""Jacobians J_t = ∂s_t/∂s_{t−1} of a stack, as N unit rows taken down the tape; S is the width of the state.

A row e_iᵀ taken down step t is row i of J_t; taken down ℓ steps it is row i of J_t J_{t−1} … J_{t−ℓ+1}. Long
products are kept as L·Q with orthonormal rows Q and lower triangular L (QR of the transposes), whose columns have
logarithmic scales of their own, so that a product of 10⁵ factors neither over- nor underflows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .descent import back, descent
from .scale import LN2, Bundle
from .stack import Stack
from .tape import Tape

Float = NDArray[np.float64]
Local = tuple[Any, ...]


def unit_rows(stack: Stack, columns: int) -> Bundle:
    """The S unit rows e_iᵀ of every column: a bundle (components, P, S, columns, N)."""
    P, N, components = len(stack.points), stack.weights.V.shape[-1], stack.cell.components
    eye = np.eye(components * N, dtype=stack.weights.V.dtype).reshape(components * N, components, N)
    value = np.empty((components, P, components * N, columns, N), eye.dtype)
    value[...] = eye.transpose(1, 0, 2)[:, None, :, None]
    return Bundle(value, np.zeros((P, components * N, columns), np.int64))


def matrices(rows: Bundle) -> tuple[Float, Float]:
    """Rows of a bundle as matrices (P, columns, Q, S), one row of the bundle a row; and the natural logarithm of
    the scale (P, columns) that they lack. Every row of a column must have one exponent."""
    components, P, Q, columns, N = rows.value.shape
    matrix = rows.value.transpose(1, 3, 2, 0, 4).astype(np.float64).reshape(P, columns, Q, components * N)
    return matrix, (rows.exponent[:, 0] * LN2).astype(np.float64)


def bundle_of(matrix: Float, like: Bundle) -> Bundle:
    """The rows of matrices (P, columns, Q, S) as a bundle of the other's shape and dtype, with no scale."""
    components, P, Q, columns, N = like.value.shape
    value = matrix.reshape(P, columns, Q, components, N).transpose(3, 0, 2, 1, 4)
    return Bundle(np.ascontiguousarray(value, like.value.dtype), np.zeros_like(like.exponent))


def jacobians(stack: Stack, tape: Tape, columns: int) -> Iterator[tuple[int, Float, Float]]:
    """Step t (from 1, the last one first), J_t (P, columns, S, S) and the ln of a scale (P, columns) it lacks."""
    rows = unit_rows(stack, columns)
    for stretch in descent(stack, tape, columns):
        for t, local in stretch.steps():
            yield t, *matrices(back(stack, rows, local)[0])


Order = NDArray[np.intp] | None
Factor = tuple[int, Float, Float, Order]
_TOGETHER = (8, 4, 2, 1)
"""Jacobians whose product is made orthonormal at once: as many of these as a point's Jacobians allow."""


def over_factors(
    stack: Stack,
    tape: Tape,
    columns: int,
    cuts: Collection[int],
    take: Callable[[Iterator[Factor]], dict[str, Float]],
) -> dict[str, Float]:
    """What ``take`` makes of the ``factors`` of a tape, each array with the points in front.

    Every point has the longest products that are well conditioned throughout, whatever it is stacked with. No
    product runs across the beginning of a step in ``cuts``.
    """
    left = np.ones(len(stack.points), bool)
    kept: dict[str, Float] = {}
    for together in _TOGETHER:
        well = left.copy()
        found = take(factors(stack, tape, columns, together, frozenset(cuts), well))
        for name, value in found.items():
            if well.all():
                kept[name] = value
            else:
                kept.setdefault(name, np.empty_like(value))[well] = value[well]
        left &= ~well
        if not left.any():
            break
    return kept


def factors(
    stack: Stack, tape: Tape, columns: int, together: int, cuts: frozenset[int], well: NDArray[np.bool_]
) -> Iterator[Factor]:
    """Step t (from 1, the last one first), the triangular factor L_t (P, columns, S, S) of
    Q_s J_s … J_t = L_t Q_{t−1}, s − t < ``together``, and the ln of a scale (P, columns) that L_t lacks.
    Q_T is the identity (Benettin et al. 1980, backwards).

    ``well`` (P,) becomes false where such a product of several Jacobians is so ill conditioned that the smallest
    L_ii would lose more than a quarter of the digits; with none left the factors end.

    A row that dies (L_ii = 0) goes on as any direction that is left, and must not take the place of a live one: Q_s
    is taken in the ``order`` (P, columns, S) of its rows that puts the dead ones last; None: as it was.
    """
    rows = unit_rows(stack, columns)
    for stretch in descent(stack, tape, columns):
        for t, group in _groups(stretch.steps(), together, cuts):
            for local in group:
                rows = back(stack, rows, local)[0]
            matrix, ln_scale = matrices(rows)
            matrix = np.ascontiguousarray(matrix.swapaxes(-1, -2))
            Q, R, order = _live_first(matrix) if together == 1 else (*np.linalg.qr(matrix), None)
            if together > 1:
                well &= _is_well(R, float(np.finfo(rows.value.dtype).eps) ** 0.25)
                if not well.any():
                    return
            rows = bundle_of(Q.swapaxes(-1, -2), rows)
            yield t, R.swapaxes(-1, -2), ln_scale, order


def _groups(
    steps: Sequence[tuple[int, Local]], together: int, cuts: frozenset[int]
) -> Iterator[tuple[int, list[Local]]]:
    """Steps in groups that end where (t − 1) is a multiple of ``together``, or at a cut: the earliest step, and the
    local derivatives of all, the last one first."""
    group = list[Local]()
    for t, local in steps:
        group.append(local)
        if (t - 1) % together == 0 or t in cuts or t == steps[-1][0]:
            yield t, group
            group = []


def _is_well(R: Float, limit: float) -> NDArray[np.bool_]:
    """Whether |R_ii| is above ``limit`` of the largest element in all columns (P, columns, S, S) of a point."""
    size = np.abs(R)
    least = size.diagonal(axis1=-2, axis2=-1).min(axis=-1)
    return np.asarray((least > limit * size.max(axis=(-2, -1))).all(axis=1))


def _live_first(matrix: Float) -> tuple[Float, Float, Order]:
    """Q and R of matrices (…, S, S), with the columns in an order that has those with R_ii = 0 last."""
    Q, R = np.linalg.qr(matrix)
    order = np.argsort(R.diagonal(axis1=-2, axis2=-1) == 0, axis=-1, kind="stable")
    if (order == np.arange(order.shape[-1])).all():
        return Q, R, None
    Q, R = np.linalg.qr(np.take_along_axis(matrix, order[..., None, :], axis=-1))
    return Q, R, order


class Product:
    """The product of triangular factors L_1 L_2 … as columns with logarithmic scales: matrix · diag(exp ln_scale).

    ``matrix`` (P, columns, S, S) has columns of length one; ``ln_scale`` (P, columns, S); ``ln_det`` (P, columns).
    """

    def __init__(self, P: int, columns: int, S: int) -> None:
        self.matrix = np.broadcast_to(np.eye(S), (P, columns, S, S))
        self.ln_scale = np.zeros((P, columns, S))
        self.ln_det = np.zeros((P, columns))

    def times(self, factor: Float, ln_scale: Float, order: Order = None) -> None:
        """Multiply from the right by a lower triangular factor (P, columns, S, S) · exp(ln_scale (P, columns)),
        whose rows are those of the product's columns in this order."""
        if order is not None:
            self.matrix = np.take_along_axis(self.matrix, order[..., None, :], axis=-1)
            self.ln_scale = np.take_along_axis(self.ln_scale, order, axis=-1)
        diagonal = np.abs(np.ascontiguousarray(factor.diagonal(axis1=-2, axis2=-1)))
        S = diagonal.shape[-1]
        self.ln_det = self.ln_det + np.log(diagonal).sum(axis=-1) + S * ln_scale
        size = np.abs(np.ascontiguousarray(factor))
        ln = self.ln_scale[..., None] + np.log(
            size
        )  # column j is the sum over i of columns i times exp(ln[i, j])
        peak = ln.max(axis=-2)
        peak = np.where(np.isfinite(peak), peak, 0.0)
        product = np.matmul(self.matrix, np.copysign(np.exp(ln - peak[..., None, :]), factor))
        norm = np.sqrt((product * product).sum(axis=-2))
        self.matrix = product / np.where(norm > 0, norm, 1.0)[..., None, :]
        self.ln_scale = peak + np.log(norm) + ln_scale[..., None]

    def ln_singular(self) -> Float:
        """ln σ_i (P, columns, S), descending; −inf beyond 1e−12 of σ_1, where rounding has the word."""
        top = self.ln_scale.max(axis=-1, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0)
        scaled = self.matrix * np.exp(self.ln_scale - top)[..., None, :]
        sigma = singular_values(scaled)
        kept = np.logical_and(sigma >= 1e-12 * sigma[..., :1], sigma > 0)
        return np.where(kept, np.log(np.where(kept, sigma, 1.0)) + top, -np.inf)


def singular_values(matrices: Float) -> Float:
    """Singular values, descending, of (…, S, S); NaN where a matrix is not finite (LAPACK would not return)."""
    finite = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))[..., None]
    sigma = np.linalg.svd(np.where(finite[..., None], matrices, 0.0), compute_uv=False)
    return np.where(finite, sigma, np.nan)
