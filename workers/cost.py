"""What a point costs: seconds on one core and bytes beside its neighbours in a stack. Estimates, for planning.

The rates were measured with one BLAS thread; a plan needs them right within a factor of two, no better.
"""

from collections.abc import Iterable

import numpy as np

from .cells import CELLS
from .points import Point
from .probes import PROBES
from .probes.base import Sizes, Work
from .tape import spacing_of

_FLOPS = 3.5e10  # matrix products at the small shapes of a step
_ELEMENTS = 9.0e7  # elements a second through a block's nonlinearity, forward and backward
_CALLS = 1.0e-4  # one step's NumPy calls, whatever the stack's size; shared by its points
_POINT = 8.0e-5  # drawing, reading off and writing a point
_BASE = 250 * 2**20
_SHARED = 16  # points among which a step's calls are shared, in a usual stack


def seconds(point: Point, probes: Iterable[str]) -> float:
    """Estimated seconds of one point in a well-filled stack, on one core."""
    s = sizes(point)
    rows = (s.R + 1) / 2 + (1 if s.R > 1 else 0)
    flops = s.T * s.B * (2.0 * s.N * s.N * s.recurrent * (2 + rows) + 4.0 * s.N * s.M * s.G)
    elements = s.T * s.B * s.N * (s.G + s.components) * (1 + rows / 3)
    works = [Work(flops, elements, s.T), *(PROBES[name].cost(s) for name in probes)]
    return _POINT + sum(_seconds(work, s) for work in works)


def _seconds(work: Work, s: Sizes) -> float:
    factorisation = 8e-6 + 5e-8 * s.S**2  # QR or singular values, by LAPACK
    return (
        work.flops / _FLOPS
        + work.elements / _ELEMENTS
        + work.steps * _CALLS / _SHARED
        + work.factorisations * factorisation
    )


def memory(point: Point, probes: Iterable[str], checkpoints: bool = False) -> int:
    """Bytes that one more point of this shape adds to a stack, at its peak; with a tape of checkpoints or whole."""
    s = sizes(point)
    cell, word = CELLS[point.cell], np.dtype(point.dtype).itemsize
    G, T = s.G + cell.spare, s.T
    kept = min(T, spacing_of(T)) if checkpoints else T
    tape = kept * s.B * s.N * (G + s.components) + T * s.B * 2 * s.M + s.B * s.N * s.components
    if checkpoints:
        tape += (T // spacing_of(T) + 2) * s.B * s.N * s.components
    stretch = max(1, min(64, 256 // s.B))
    local = stretch * s.B * s.N * (2 * G + 4 + 3 * (s.G + cell.extra))
    bundle = (s.R + 1) * s.B * s.N * 3 * (s.components + G)
    arrays = 4 * s.G * s.N * ((s.N if s.recurrent else 0) + s.M)
    norms = T * s.R * s.B * 8 * 4
    drawn = T * s.B * (s.M + s.K) * 8 * 2
    of_probes = max((PROBES[name].cost(s).bytes for name in probes), default=0.0)
    return int(word * (tape + local + bundle + arrays) + norms + drawn + of_probes)


def fitting(point: Point, probes: Iterable[str], budget: int) -> tuple[int, bool]:
    """Bytes of one point of a stack, and whether its tape needs checkpoints to stay within so many bytes."""
    probes = tuple(probes)
    whole = memory(point, probes)
    if whole <= budget:
        return whole, False
    return memory(point, probes, checkpoints=True), True


def base_memory() -> int:
    """Bytes of a worker process before its first point."""
    return _BASE


def sizes(point: Point) -> Sizes:
    """The sizes of a point, for its cost."""
    cell = CELLS[point.cell]
    G = len(cell.gates)
    return Sizes(
        point.length,
        point.batch_size,
        point.hidden_size,
        point.input_size,
        point.output_size,
        len(point.steps_with_loss),
        G,
        cell.components,
        G if "U" in cell.arrays else 0,
    )
