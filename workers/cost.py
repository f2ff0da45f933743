"""What a point costs: seconds on one core and bytes beside its neighbours in a stack. Estimates, for planning.

The rates were measured with one BLAS thread; a plan needs them right within a factor of two, no better.
"""

from collections.abc import Iterable

import numpy as np

from .adjoint import rows_together
from .calibrate import EVALUATIONS, ROWS, trial
from .cells import CELLS, Cell
from .descent import steps_of
from .points import Point
from .probes import PROBES
from .probes.base import NONLINEAR_DOWN, Sizes, Work
from .tape import SEGMENT, spacing_of

_FLOPS = 2.2e10  # matrix products at the small shapes of a step
_ELEMENTS = 1.0e8  # elements a second down a bundle and through a block's derivatives
_NONLINEAR = 6.0  # elements that a nonlinearity counts, forward and backward
_CALLS = 1.3e-4  # one step's NumPy calls, whatever the stack's size; shared by its points
_POINT = 5e-5  # drawing, reading off and writing a point
_BLOCK = (1.2e-5, 1.5e-9)  # drawing a recurrent block and its norm: of each, and times N³
_SHARED = 16  # points among which a step's calls are shared, in a usual stack
_POINT_BYTES = 1 << 14  # interpreter's objects and small arrays of a point
STACK = 1 << 20
"""Bytes of a stack whatever its points: interpreter's objects and small arrays; part of ``base_memory``."""
_BASE = 250 * 2**20


def seconds(point: Point, probes: Iterable[str]) -> float:
    """Estimated seconds of one point in a well-filled stack, on one core."""
    s = sizes(point)
    rows = (s.R + 1) / 2 + (1 if s.R > 1 else 0)
    flops = s.T * s.B * (2.0 * s.N * s.N * s.recurrent * (2 + rows) + 4.0 * s.N * s.M * s.G)
    elements = s.down(rows, s.B).elements + s.T * s.B * s.N * s.nonlinear * (_NONLINEAR - NONLINEAR_DOWN)
    drawn = s.recurrent * (_BLOCK[0] + _BLOCK[1] * s.N**3)
    works = [Work(flops, elements, s.T), *(PROBES[name].cost(s) for name in probes)]
    return _POINT + drawn + sum(_seconds(work, s) for work in works) + _calibration_seconds(point)


def _calibration_seconds(point: Point) -> float:
    if point.gamma_kind != "realised":
        return 0.0
    s = sizes(trial(point))
    forward, down = s.down(1, 1), s.down(ROWS, 1)
    return EVALUATIONS * (_POINT + _seconds(forward, s) + _seconds(down, s))


def _seconds(work: Work, s: Sizes) -> float:
    factorisation = 8e-6 + 5e-8 * s.S**2  # QR or singular values, by LAPACK
    return (
        work.flops / _FLOPS
        + work.elements / _ELEMENTS
        + work.steps * _CALLS / _SHARED
        + work.factorisations * factorisation
    )


def memory(point: Point, probes: Iterable[str], checkpoints: bool = False) -> int:
    """Bytes that one more point of this shape adds to a stack, at its peak; with a tape of checkpoints or whole.

    What stays from beginning to end, and the largest of what comes and goes: drawing, the forward sweep, the
    backward sweep, every probe.
    """
    s = sizes(point)
    cell, word = CELLS[point.cell], np.dtype(point.dtype).itemsize
    works = [PROBES[name].cost(s) for name in probes]
    columns = 8 * s.T * s.B
    weights = s.N * (s.G * s.M + s.recurrent * s.N) + s.K * s.N
    tape = _tape(s, cell, checkpoints)
    held = 8 * weights + s.M * columns + word * (2 * weights + 2 * s.T * s.B * s.M + tape)
    held += s.R * s.B * (word * (2 * s.N + 4 * s.K) + 24) + 2 * s.R * columns + sum(w.kept for w in works)
    drawing = 8 * 6 * s.N * s.N + 2 * s.K * columns - word * tape
    passing = max(drawing, word * _forward(s), word * _backward(s, cell) + 48 * _stretch(s) * s.R * s.B)
    passing = max([passing + 3 * word * weights, *(w.bytes for w in works)])
    return max(int(_POINT_BYTES + held + passing), _calibration_memory(point))


def _tape(s: Sizes, cell: type[Cell], checkpoints: bool) -> int:
    """Elements of a tape; of checkpoints, with two segments made again, of which one is being left."""
    spacing, state = spacing_of(s.T), s.B * s.N * s.components
    whole = s.T * s.B * s.N * (s.G + cell.spare + s.components) + state
    if not checkpoints:
        return whole
    segments = min(s.T, 2 * spacing) * s.B * s.N * (s.G + cell.spare + s.components) + 2 * state
    return segments + (s.T // spacing + 2) * state


def _forward(s: Sizes) -> int:
    """Elements of the inputs' projection, a block of a segment, and of one step."""
    return min(s.T, SEGMENT) * s.B * (s.N + s.M) + 3 * (s.G + s.components) * s.B * s.N


def _backward(s: Sizes, cell: type[Cell]) -> int:
    """Elements of a stretch's local derivatives and error terms, of the loss rows, and of their step down."""
    G = s.G + cell.spare + cell.extra
    together = min(s.R, rows_together(s.B, s.N, s.components)) + 1
    local = _stretch(s) * (6 * G + 2 * s.components + 4)
    return s.B * s.N * (local + (s.R + 1) * s.components + together * (3 * G + 3 * s.components + 2))


def _stretch(s: Sizes) -> int:
    return min(s.T, steps_of(s.B))


def _calibration_memory(point: Point) -> int:
    """Bytes of one trajectory and its rows; they are gone before the point itself is measured."""
    if point.gamma_kind != "realised":
        return 0
    one = trial(point).replace(gamma_kind="nominal")
    s, word = sizes(one), np.dtype(point.dtype).itemsize
    return memory(one, ()) + ROWS * s.N * 3 * (s.components + s.G) * word


def fitting(point: Point, probes: Iterable[str], budget: int) -> tuple[int, bool]:
    """Bytes of one point of a stack, and whether its tape needs checkpoints to stay within so many bytes."""
    probes = tuple(probes)
    whole = memory(point, probes)
    if whole <= budget:
        return whole, False
    return memory(point, probes, checkpoints=True), True


def base_memory() -> int:
    """Bytes of a worker process before its first point, its imports included, and of a stack without points."""
    return _BASE


def sizes(point: Point) -> Sizes:
    """The sizes of a point, for its cost."""
    cell = CELLS[point.cell]
    G = len(cell.gates)
    recurrent = G if "U" in cell.arrays else 0
    return Sizes(
        point.length,
        point.batch_size,
        point.hidden_size,
        point.input_size,
        point.output_size,
        len(point.steps_with_loss),
        G,
        cell.components,
        recurrent,
        (recurrent or len(cell.logistic_gates)) + cell.components - 1,
    )
