"""What a point costs: seconds on one core and bytes beside its neighbours in a stack. Estimates, for planning.

The rates were measured with one BLAS thread by ``python -m longlag.benchmarks.calibration``, which prints them as
they stand here; a plan needs them right within a factor of two, no better.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .calibrate import EVALUATIONS, ROWS, trial
from .cells import CELLS, Cell
from .descent import steps_of
from .points import Point
from .probes import PROBES
from .probes.base import NONLINEAR_DOWN, Sizes, Work
from .projection import projected
from .sweep import rows_together
from .tape import spacing_of


@dataclass(frozen=True)
class Rates:
    """What the seconds of a point are made of; ``RATES`` are those of the machine that they were measured on."""

    flops: float
    """Operations a second in matrix products at the small shapes of a step."""
    elements: float
    """Elements a second down a bundle and through a block's derivatives."""
    nonlinear: float
    """Elements that a nonlinearity counts, forward and backward."""
    step: float
    """Seconds of one step's NumPy calls, whatever the stack's size; shared by its points."""
    block: float
    """And of those of every net-input block and state component."""
    point: float
    """Seconds of drawing, reading off and writing a point."""
    drawn: float
    """Seconds of drawing a recurrent block and its norm, N³ times this."""
    numbers: float
    """Random numbers a second."""
    factorisation: float
    """Seconds of a QR or of singular values, S² times this."""
    single: float
    """What float32 takes of the products and elements of float64."""


RATES = Rates(
    flops=7.8e10,
    elements=1.5e8,
    nonlinear=1.6,
    step=5.1e-5,
    block=7.3e-6,
    point=7.2e-5,
    drawn=2.6e-10,
    numbers=2.2e7,
    factorisation=7.1e-8,
    single=0.62,
)
_AT_ONCE = 0.3  # of the elements and steps of a cell whose one row goes down a stretch at once
_DRAWN = 1.2e-5  # seconds of a recurrent block, whatever its size
_FACTORISATION = 8e-6  # seconds of a factorisation, whatever its size
_CACHE = 1 << 20  # bytes of a step: best between half and twice that where a core has 512 KiB; many have more
_POINTS = (8, 128)  # points of a stack: fewer do not share a step's calls well, more gain nothing
_POINT_BYTES = 1 << 14  # interpreter's objects and small arrays of a point
_ROW_BYTES = 1 << 12  # interpreter's objects of a point that is measured or waits for it, and a row's numbers
_COPIES = 3  # of a row: as measured, in its place among the shard's, in the file
STACK = 3 << 19
"""Bytes of a stack whatever its points, part of ``base_memory``: objects, scratch and small arrays, a file."""
_BASE = 250 * 2**20


def seconds(point: Point, probes: Iterable[str], rates: Rates = RATES) -> float:
    """Estimated seconds of one point in a stack of ``stack_points``, on one core."""
    s = sizes(point)
    rows = (s.R + 1) / 2 + (1 if s.R > 1 else 0)
    flops = s.T * s.B * (2.0 * s.N * s.N * s.recurrent * (2 + rows) + 4.0 * s.N * s.M * s.G)
    nonlinear = rates.nonlinear - NONLINEAR_DOWN
    at_once = _AT_ONCE if CELLS[point.cell].commutes and s.R == 1 else 1.0
    elements = s.down(rows, s.B).elements * at_once + s.T * s.B * s.N * s.nonlinear * nonlinear
    weights = s.N * (s.G * s.M + s.recurrent * s.N)
    drawn = s.recurrent * (_DRAWN + rates.drawn * s.N**3) + (weights + s.T * s.B * s.M) / rates.numbers
    works = [Work(flops, elements, s.T * at_once), *(PROBES[name].cost(s) for name in probes)]
    shared, type_ = stack_points(point), rates.single if point.dtype == "float32" else 1.0
    swept = sum(_seconds(work, s, shared, type_, rates) for work in works)
    return rates.point + drawn + swept + _calibration_seconds(point, rates)


def _calibration_seconds(point: Point, rates: Rates) -> float:
    if point.gamma_kind != "realised":
        return 0.0
    s = sizes(trial(point))
    forward, down = s.down(1, 1), s.down(ROWS, 1)
    shared = stack_points(point)
    return EVALUATIONS * (
        rates.point + _seconds(forward, s, shared, 1.0, rates) + _seconds(down, s, shared, 1.0, rates)
    )


def _seconds(work: Work, s: Sizes, shared: int, type_: float, rates: Rates) -> float:
    return (
        type_ * (work.flops / rates.flops + work.elements / rates.elements)
        + work.steps * (rates.step + rates.block * (s.G + s.components)) / shared
        + work.factorisations * (_FACTORISATION + rates.factorisation * s.S**2)
    )


def stack_points(point: Point) -> int:
    """How many points of this shape a stack should have: one step's weights, net inputs, states and derivatives of
    all of them stay in a core's second-level cache, and there are enough to share the step's NumPy calls.

    A function of the shape alone. It moves seconds and bytes, and no number: a point's do not depend on its stack.
    """
    s = sizes(point)
    weights = s.N * (s.recurrent * s.N + s.G * s.M)
    elements = weights + 2 * s.B * s.N * (s.G + s.components) + s.B * s.M
    few, many = _POINTS
    return max(few, min(many, _CACHE // (np.dtype(point.dtype).itemsize * elements)))


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
    held = 8 * weights + s.M * columns + word * (3 * weights + 2 * s.T * s.B * s.M + tape)
    held += s.R * s.B * (word * (2 * s.N + 4 * s.K) + 24) + 2 * s.R * columns + sum(w.kept for w in works)
    drawn = 6 * s.N * s.N if s.recurrent else 0
    drawing = 8 * drawn + 2 * s.K * columns  # the tape of the stack before is still lent
    passing = max(drawing, word * _forward(s, cell), word * _backward(s, cell) + 48 * _stretch(s) * s.R * s.B)
    passing = max([passing + 3 * word * weights, *(w.bytes for w in works)])
    return max(int(_POINT_BYTES + held + passing), _calibration_memory(point))


def _tape(s: Sizes, cell: type[Cell], checkpoints: bool) -> int:
    """Elements of a tape; of checkpoints, with two segments made again, of which one is being left."""
    if cell.commutes:
        return 2 * (s.T + 1) * s.B * s.M
    spacing, state = spacing_of(s.T), s.B * s.N * s.components
    step = s.B * s.N * (s.G + cell.spare + s.components)
    if cell.augmented:  # rows [h, x, 1], which are the states where h is all of them
        step += s.B * (s.M + 1 + (s.N if s.components > 1 else 0))
    if not checkpoints:
        return (s.T + 1) * step
    return min(s.T + 2, 2 * spacing + 2) * step + (s.T // spacing + 2) * state


def _forward(s: Sizes, cell: type[Cell]) -> int:
    """Elements of the inputs' projection, a block of some steps, and of one step; or of loops and their drive."""
    if cell.commutes:
        return 2 * (s.T + 1) * s.B * s.M
    return projected(s.B) * s.B * (s.N + s.M) + 3 * (s.G + s.components) * s.B * s.N


def _backward(s: Sizes, cell: type[Cell]) -> int:
    """Elements of a stretch's local derivatives and error terms, of the loss rows, and of their step down."""
    G = s.G + cell.extra
    together = min(s.R, rows_together(s.B, s.N, s.components)) + 1
    local = _stretch(s) * (3 if cell.commutes else 3 * G + 3 * s.components + 4)
    row = 5 if cell.commutes and s.R == 1 else 3 * G + 3 * s.components + 2
    return s.B * s.N * (local + (s.R + 1) * s.components + together * row)


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


@dataclass(frozen=True)
class Costs:
    """What points of one shape cost in a shard, worked out once for all shards of the shape.

    ``seconds`` of each point; bytes of each ``together`` in its stack, while it is ``waiting`` before and behind
    its turn, and while the file is ``written``; at most ``stack`` points are computed together.
    """

    seconds: float
    together: int
    waiting: int
    written: int
    stack: int
    checkpoints: bool

    @classmethod
    def of(
        cls, point: Point, probes: Iterable[str], checkpoints: bool = False, stack: int | None = None
    ) -> "Costs":
        """Of points like this one; without ``stack`` as many together as ``stack_points`` says."""
        probes, s = tuple(probes), sizes(point)
        lists = [PROBES[name] for name in probes if any("list" in c.type for c in PROBES[name].columns)]
        works = [probe.cost(s) for probe in lists]
        row = sum(work.kept or work.bytes for work in works)  # no probe returns more than it has in hand
        return cls(
            seconds(point, probes),
            memory(point, probes, checkpoints),
            int(_ROW_BYTES + row),
            int(_ROW_BYTES + _COPIES * row),
            stack or stack_points(point),
            checkpoints,
        )

    @classmethod
    def within(cls, point: Point, probes: Iterable[str], budget: int) -> "Costs":
        """Of stacks that stay within so many bytes of a worker, with checkpoints where they must, and that leave an
        eighth of them to the rows of the shard's other points."""
        probes, room = tuple(probes), budget - base_memory()
        each, checkpoints = fitting(point, probes, room)
        return cls.of(point, probes, checkpoints, max(1, min(stack_points(point), room * 7 // 8 // each)))

    def memory(self, count: int) -> int:
        """Bytes of a worker at its peak with so many points: the last stack beside the finished rows of the others,
        or all rows and their file."""
        together = min(count, self.stack)
        computed = together * self.together + (count - together) * self.waiting
        return base_memory() + max(computed, count * self.written)

    def most(self, budget: int) -> int:
        """Points of a shard at most, to stay within so many bytes of a worker; 0 where one point does not."""
        room = budget - base_memory()
        if room < self.stack * self.together:
            return max(0, min(room // self.together, room // self.written))
        return min(self.stack + (room - self.stack * self.together) // self.waiting, room // self.written)


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
