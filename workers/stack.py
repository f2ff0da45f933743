"""A stack: points of one shape side by side, as arrays; and how a point's arrays are drawn.

A stack is P points of one shape. Sizes: T steps, B columns, N units, M inputs, K outputs, G net-input blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from . import aligned
from .cells import CELLS, Cell
from .cells.base import Weights
from .inputs import INPUTS, TARGETS
from .losses import LOSSES, Loss
from .points import Point
from .weights import read_out

Array = NDArray[np.floating]


def make_cell(point: Point) -> Cell:
    """The cell of a point, with its activation, reset convention and kind of gradient."""
    return _cell(point.cell, point.activation, point.reset, point.gradient)


@lru_cache(maxsize=64)
def _cell(name: str, activation: str | None, reset: str | None, gradient: str | None) -> Cell:
    return CELLS[name](activation, reset, gradient)


def draw_parameters(point: Point) -> dict[str, NDArray[np.float64]]:
    """Every trained array of a point as its laws have it, in float64. Raises Unreachable.

    A point with a realised gamma has to be calibrated first: its knob is not known yet.
    """
    assert point.gamma_kind != "realised"
    arrays = make_cell(point).draw(point)
    K, N = point.output_size, point.hidden_size
    return arrays | {"V": read_out(point.seed, K, N), "d": np.zeros(K)}


def draw_inputs(point: Point) -> NDArray[np.float64]:
    """The driving sequence x (T, B, M) of a point, in float64."""
    shape = (point.length, point.batch_size, point.input_size)
    return INPUTS[point.input](point.seed, shape) * point.input_scale


def draw_targets(point: Point) -> NDArray:
    """Labels at every step: y (T, B, K), or classes (T, B)."""
    return TARGETS[point.target](point.seed, point.length, point.batch_size, point.output_size)


@dataclass(frozen=True)
class Stack:
    """P points of one shape as arrays: ``weights``, inputs (P, T, B, M), labels at the R loss times.

    ``labels`` is (P, R, B, K) or, for classes, (P, R, B). ``loss_times`` are the steps t, ascending, from 1.
    """

    points: tuple[Point, ...]
    cell: Cell
    loss: Loss
    weights: Weights
    inputs: Array
    labels: NDArray
    loss_times: tuple[int, ...]

    @cached_property
    def drive(self) -> Array:
        """What W multiplies, (P, T, B, M)."""
        return self.cell.drive(self.inputs)

    def with_losses(self, times: Sequence[int]) -> Stack:
        """The same stack with a loss at these steps instead."""
        return replace(self, labels=_labels(self.points, times), loss_times=tuple(times))


def stack(
    points: Sequence[Point],
    parameters: Sequence[Mapping[str, NDArray]],
    inputs: Sequence[NDArray],
    loss_times: tuple[int, ...],
) -> Stack:
    """Points of one shape side by side, with their arrays cast to the points' dtype.

    ``loss_times`` may stand for others than the points' own where a state overflows before them; the inputs
    may then be shorter than T as well.
    """
    first, cell = points[0], make_cell(points[0])
    dtype, N, G = np.dtype(first.dtype), first.hidden_size, len(cell.gates)
    P, first_arrays = len(points), parameters[0]

    def column(name: str) -> Array | None:
        if name not in first_arrays:
            return None
        return np.array([p[name] for p in parameters], dtype)

    U, W, b, a, V, d, p, b_u = (column(name) for name in ("U", "W", "b", "a", "V", "d", "p", "b_u"))
    assert W is not None
    assert V is not None
    assert d is not None
    weights = Weights(
        V=V,
        d=d[:, None],
        W=_by_block(W, G),
        U=None if U is None else _by_block(U, G),
        b=None if b is None else np.ascontiguousarray(b.reshape(P, G, 1, N).swapaxes(0, 1)),
        a=None if a is None else a.reshape(P, 1, 1),
        leak=None if first.leak is None else np.array([p.leak for p in points], dtype).reshape(P, 1, 1),
        p=None if p is None else np.ascontiguousarray(p.reshape(P, 3, 1, N).swapaxes(0, 1)),
        b_u=None if b_u is None else b_u[:, None],
        turn=_turns(parameters, dtype) if "rho" in first_arrays else None,
    )
    x = np.array(inputs, dtype)
    labels = _labels(points, loss_times)
    if cell.augmented:
        weights = replace(weights, augmented=_augmented(weights))
    if cell.commutes:
        lift, entering = _lift(weights.W[0])
        weights = replace(weights, lift=lift, entering=entering)
    return Stack(tuple(points), cell, LOSSES[first.loss], weights, x, labels, loss_times)


def _labels(points: Sequence[Point], times: Sequence[int]) -> NDArray:
    """Labels at these steps: (P, R, B, K) in the points' dtype, or classes (P, R, B)."""
    rows = [t - 1 for t in times]
    labels = np.array([draw_targets(p)[rows] for p in points])
    return labels.astype(points[0].dtype) if labels.dtype.kind == "f" else labels


def _by_block(matrix: Array, G: int) -> Array:
    """(P, G·N, L) -> (G, P, N, L), contiguous."""
    P, rows, L = matrix.shape
    return aligned.copy(matrix.reshape(P, G, rows // G, L).swapaxes(0, 1))


def _augmented(w: Weights) -> Array:
    """Uᵀ, Wᵀ and b of every block below one another, (G, P, N + M + 1, N)."""
    assert w.U is not None
    assert w.b is not None
    parts = w.U.swapaxes(-1, -2), w.W.swapaxes(-1, -2), w.b
    G, P, _, N = w.U.shape
    whole = aligned.empty((G, P, sum(part.shape[2] for part in parts), N), w.U.dtype)
    return np.concatenate(parts, axis=2, out=whole)


def _lift(W: Array) -> tuple[Array, Array]:
    """Wᵀ (P, M, N) with a largest element in [2^3, 2^4) a row, and the powers of two that it lacks (P, 1, M): what
    enters times these is of the states' size, and smaller than the largest."""
    peak, most = np.abs(W).max(axis=1, keepdims=True), 120 if W.dtype == np.float32 else 1000
    exponent = np.where((peak > 0) & np.isfinite(peak), np.frexp(peak)[1] - 4, 0).clip(-most, most)
    entering = np.where(peak > 0, np.ldexp(W.dtype.type(1), exponent), 0).astype(W.dtype)
    return aligned.copy(np.ldexp(W, -exponent).swapaxes(1, 2)), entering


def _turns(parameters: Sequence[Mapping[str, NDArray]], dtype: np.dtype) -> Array:
    """ρ, cos θ and sin θ of every pair of units, (3, P, 1, N/2).

    In double precision and a point at a time: a vector of cosines may take another path for one large θ.
    """
    rho = [np.asarray(one["rho"], dtype) for one in parameters]
    theta = [np.asarray(one["theta"], dtype).astype(np.float64) for one in parameters]
    turns = [rho, [np.cos(one) for one in theta], [np.sin(one) for one in theta]]
    return np.array(turns, dtype)[:, :, None]
