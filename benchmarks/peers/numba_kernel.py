"""Compiled by hand with Numba, one point after the other: what a kernel in a compiled language would do.

No library that people use, so no target counts it: it shows what NumPy's calls, array by array, cost. Products are
BLAS's; everything else is a few passes over rows in the cache, without arrays for what lies between. Derivatives
come from the values (1 − h²), as in the libraries; longlag's own are exact where a unit is saturated as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...workers import aligned
from .base import Answer, Problem, Work, curves_of
from .numba_elements import TOGETHER
from .numba_gated import gru, lstm
from .numba_simple import loop, simple

_ROWS = 240
"""Steps and columns whose gradients are one product: at N = 64 as many as OpenBLAS multiplies without packing."""


def prepare(problem: Problem) -> tuple[Work, Any]:
    """Curves and all gradients with a loss at the last step."""
    kernel, names, shapes = _CELLS[problem.cell]
    P, T, B, M = problem.inputs.shape
    N, J = problem.parameters["V"].shape[-1], -(-M // TOGETHER) * TOGETHER
    kind = np.dtype(problem.dtype)
    inputs, labels = np.zeros((P, T, B, J), kind), np.ascontiguousarray(problem.labels[:, 0])
    inputs[..., :M] = problem.inputs
    arrays = {name: np.ascontiguousarray(problem.parameters[name]) for name in names}
    G = arrays["W"].shape[1] // N
    chunk = min(T, max(1, _ROWS // B))
    room = tuple(aligned.empty(shape, kind) for shape in shapes(T, B, N, J, G, chunk))
    for array in room:
        array[...] = 0  # the rows of inputs that fill up
    last = {"linear": False, "memory": True}.get(problem.cell, chunk)

    def work() -> tuple[Any, dict[str, Any]]:
        squares = np.empty((P, 2, T, B), kind)
        found = {name: np.empty_like(arrays[name]) for name in names}
        for i in range(P):
            p, g = (tuple(of[name][i, ...] for name in names) for of in (arrays, found))
            kernel(p, inputs[i], labels[i], room, g, squares[i], last)
        ln = np.log(squares, out=squares)
        ln *= 0.5
        for value in found.values():
            value /= B
        return ln, found

    def answer(found: tuple[Any, dict[str, Any]]) -> Answer:
        ln = {"delta": found[0][:, None, 0], "adjoint": found[0][:, None, 1]}
        return Answer(ln, curves_of(ln), found[1])

    return work, answer


def _simple_room(T: int, B: int, N: int, J: int, G: int, chunk: int) -> list[tuple[int, ...]]:
    return [(N, N), (J, N), (N,), (T + 1, B, N), (B, N), (chunk, B, N), (B, N), (J, N)]


def _lstm_room(T: int, B: int, N: int, J: int, G: int, chunk: int) -> list[tuple[int, ...]]:
    states, wide = (T + 1, B, N), (J, G * N)
    return [(N, G * N), (G * N, N), wide, (G * N,), states, states, (T, B, G * N), (B, N), (B, N), wide]


def _gru_room(T: int, B: int, N: int, J: int, G: int, chunk: int) -> list[tuple[int, ...]]:
    weights = [(N, 2 * N), (N, N), (2 * N, N), (N, N), (J, 2 * N), (J, N), (2 * N,), (N,)]
    steps = [(T + 1, B, N), (T, B, N), (T, B, 2 * N), (T, B, N)]
    return [*weights, *steps, (B, N), (B, N), (J, 2 * N), (J, N)]


def _loop_room(T: int, B: int, N: int, J: int, G: int, chunk: int) -> list[tuple[int, ...]]:
    return [(J, N), (T, B, J), (T + 1, N), (1, N), (1, N), (J, N), (T,)]


_MATRICES = ("U", "W", "b", "V", "d")
_CELLS: dict[str, tuple[Any, tuple[str, ...], Any]] = {
    "simple": (simple, _MATRICES, _simple_room),
    "linear": (loop, ("a", "W", "V", "d"), _loop_room),
    "memory": (loop, ("a", "W", "V", "d"), _loop_room),
    "lstm": (lstm, _MATRICES, _lstm_room),
    "gru": (gru, _MATRICES, _gru_room),
}
