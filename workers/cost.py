"""What a point costs: seconds on one core and bytes beside its neighbours in a stack. Estimates, for planning.

The rates were measured with one BLAS thread; a plan needs them right within a factor of two, no better.
"""

from collections.abc import Iterable

import numpy as np

from .cells import CELLS
from .points import Point
from .probes import PROBES

_FLOPS = 3.5e10  # matrix products at the small shapes of a step
_ELEMENTS = 9.0e7  # elements a second through a block's nonlinearity, forward and backward
_CALLS = 1.0e-4  # one step's NumPy calls, whatever the stack's size; shared by its points
_POINT = 8.0e-5  # drawing, reading off and writing a point
_BASE = 250 * 2**20


def seconds(point: Point, probes: Iterable[str]) -> float:
    """Estimated seconds of one point in a well-filled stack, on one core."""
    T, B, N, M, R = _sizes(point)
    G = len(CELLS[point.cell].gates)
    recurrent = 2.0 * N * N * G if "U" in CELLS[point.cell].arrays else 0.0
    rows = (R + 1) / 2 + (1 if R > 1 else 0)
    flops = T * B * (recurrent * (2 + rows) + 4.0 * N * M * G)
    elements = T * B * N * (G + CELLS[point.cell].components) * (1 + rows / 3)
    sweeps = flops / _FLOPS + elements / _ELEMENTS + T * _CALLS / 16
    return _POINT + sweeps * (1 + sum(PROBES[name].cost for name in probes))


def memory(point: Point, probes: Iterable[str]) -> int:
    """Bytes that one more point of this shape adds to a stack, at its peak."""
    T, B, N, M, R = _sizes(point)
    cell = CELLS[point.cell]
    G, S = len(cell.gates) + cell.spare, cell.components
    word = np.dtype(point.dtype).itemsize
    chunk = max(1, min(64, 256 // B))
    tape = T * B * (N * (G + S) + 2 * M) + B * N * S
    local = chunk * B * N * (2 * G + 4 + 3 * (G + cell.extra))
    bundle = (R + 1) * B * N * (3 * S + 3 * G)
    arrays = 4 * G * N * ((N if "U" in cell.arrays else 0) + M)
    norms = T * R * B * 8 * 4 + min(T * R * B, 1 << 20) * 8 * 8
    drawn = T * B * (M + point.output_size) * 8 * 2
    return int(word * (tape + local + bundle + arrays) + norms + drawn)


def base_memory() -> int:
    """Bytes of a worker process before its first point."""
    return _BASE


def _sizes(point: Point) -> tuple[int, int, int, int, int]:
    R = len(point.steps_with_loss)
    return point.length, point.batch_size, point.hidden_size, point.input_size, R
