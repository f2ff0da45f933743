"""Points of one shape in, columns out: both sweeps and the probes. Pure: no files, no clock.

Numerical failure is a status, never an exception: ``dead``, ``overflow``, ``unreachable``, ``no_signal``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .adjoint import Backward, backward
from .calibrate import Calibration, calibrate
from .cells import Cell
from .errors import InvalidPoint, Unreachable
from .loops import Loops
from .outputs import Outputs, read
from .points import Point
from .probes import PROBES, Swept
from .products import BLAS
from .room import Room
from .stack import Stack, draw_inputs, draw_parameters, make_cell, stack
from .streams import company
from .tape import Checkpoints, Tape, Whole, forward, overflow_step
from .walk import Rows

_BUFFER = 1024  # elements
Arrays = Mapping[str, NDArray]
Columns = dict[str, Any]
"""Column name -> one value, or one list, a point, in an array or a list; what is null throughout is left out."""


@dataclass(frozen=True)
class Task:
    """A point to measure, with the caller's own arrays where there are any; the others are drawn."""

    point: Point
    parameters: Arrays = field(default_factory=dict)
    inputs: NDArray | None = None

    def names(self) -> tuple[str, ...]:
        """Names of every trained array."""
        p = self.point
        cell, sizes = make_cell(p), (p.hidden_size, p.input_size, p.output_size)
        given = [name for name in cell.optional(*sizes) if name in self.parameters]
        return (*cell.shapes(*sizes), *given)

    @property
    def calibrates(self) -> bool:
        """Whether its knob must be found; not where every array is the caller's own."""
        return self.point.gamma_kind == "realised" and not set(self.names()) <= set(self.parameters)

    def all_parameters(self, calibration: Calibration | None = None) -> dict[str, NDArray]:
        """Every trained array, in float64 or as given; ``calibration`` where it has been done already.

        Raises Unreachable where an array must be drawn and cannot.
        """
        if not self.parameters and self.point.gamma_kind != "realised":
            return draw_parameters(self.point)
        names = self.names()
        if set(names) <= set(self.parameters):
            return {name: np.asarray(self.parameters[name]) for name in names}
        found = calibration or calibrations([self])[0]
        if found is not None and found.point is None:
            raise Unreachable(found.why)
        drawn = draw_parameters(self.point if found is None or found.point is None else found.point)
        return {name: np.asarray(self.parameters.get(name, drawn.get(name))) for name in names}

    def all_inputs(self) -> NDArray:
        """The driving sequence (T, B, M)."""
        return draw_inputs(self.point) if self.inputs is None else self.inputs


def calibrations(tasks: Sequence[Task]) -> list[Calibration | None]:
    """What calibrating found for each task of one shape; None for those that need none."""
    with numerics():
        found = iter(calibrate([task.point for task in tasks if task.calibrates]))
    return [next(found) if task.calibrates else None for task in tasks]


@dataclass(frozen=True)
class Part:
    """Measures of some tasks of a stack: ``places`` are theirs among the tasks, every column has one for each."""

    places: list[int]
    columns: Columns

    def at(self, places: Sequence[int]) -> Part:
        """The same for a stack of which this one was a part, at these places."""
        return Part([places[i] for i in self.places], self.columns)


def run(
    tasks: Sequence[Task], probes: Sequence[str], checkpoints: bool = False, room: Room | None = None
) -> list[Part]:
    """The measures of every task, as columns: one part for those that went the whole way, others for the rest.

    All points have one shape. With ``checkpoints`` the tape is made again by parts, which takes less memory and
    more time for the same bits. Stacks that are run one after another may share a ``room``.
    """
    room = room or Room()
    with numerics(), company(task.point.seed for task in tasks):
        parts: list[Part] = []
        ready: dict[int, Arrays] = {}
        found = calibrations(tasks)
        for i, task in enumerate(tasks):
            try:
                ready[i] = task.all_parameters(found[i])
            except Unreachable as unreachable:
                parts.append(Part([i], {"status": ["unreachable"], "status_detail": [str(unreachable)]}))
        if ready:
            several, places = [tasks[i] for i in ready], list(ready)
            measured = _measure(several, list(ready.values()), probes, checkpoints, room)
            parts += [part.at(places) for part in measured]
    if any(one is not None for one in found):
        parts = [Part(part.places, part.columns | _calibrated(found, part.places)) for part in parts]
    return parts


def _calibrated(found: Sequence[Calibration | None], places: Sequence[int]) -> Columns:
    """The columns of a calibration; null for tasks that needed none."""
    rows = [{} if (one := found[i]) is None else one.columns() for i in places]
    names = {name for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}


@contextmanager
def numerics() -> Iterator[None]:
    """One BLAS thread, small buffers, and floating-point warnings off: what is not finite becomes a status.

    NumPy copies what is broadcast in the first dimensions into its buffer, where that has room for several rows.
    """
    with BLAS.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):  # which restores the size as well
        np.setbufsize(_BUFFER)
        yield


def sweep(
    task: Task, parameters: Arrays, error_terms: Rows | None = None
) -> tuple[Stack, Whole | Loops, Outputs, Backward, int]:
    """Both sweeps of one point, and the step at which its state overflows (0: nowhere).

    After an overflow at step s the backward sweep covers the s − 1 finite steps, with the loss times among
    them or, where there is none, a loss at step s − 1; the tape covers all T steps.
    """
    times = task.point.steps_with_loss
    one = stack([task.point], [parameters], [task.all_inputs()], times)
    tape = forward(one)
    assert not isinstance(tape, Checkpoints)
    step = int(overflow_step(tape)[0])
    if step == 1:
        raise InvalidPoint(
            "the state overflows at the first step: no step is left; give smaller weights or inputs"
        )
    if step:
        times = tuple(t for t in times if t < step) or (step - 1,)
        one = stack([task.point], [parameters], [task.all_inputs()[: step - 1]], times)
    cut = tape if not step else tape.cut(step - 1)
    outputs = read(one, cut)
    return one, tape, outputs, backward(one, cut, outputs, error_terms), step


def _measure(
    tasks: Sequence[Task],
    parameters: Sequence[Arrays],
    probes: Sequence[str],
    checkpoints: bool,
    room: Room,
) -> list[Part]:
    points = [task.point for task in tasks]
    inputs = [task.all_inputs() for task in tasks]
    whole = stack(points, parameters, inputs, points[0].steps_with_loss)
    tape = forward(whole, checkpoints, room)
    steps = overflow_step(tape)
    columns = None if steps.any() else _columns(tasks, parameters, whole, tape, probes, room)
    tape.release(room)
    if columns is not None:
        return [Part(list(range(len(tasks))), columns)]
    del whole, tape  # twice would be beyond what was planned
    fine: list[int] = np.flatnonzero(steps == 0).tolist()
    parts: list[Part] = []
    if fine:
        rest = _measure([tasks[p] for p in fine], [parameters[p] for p in fine], probes, checkpoints, room)
        parts += [part.at(fine) for part in rest]
    for p in np.flatnonzero(steps).tolist():
        columns = _overflowed(tasks[p], parameters[p], inputs[p], int(steps[p]), probes, checkpoints)
        parts.append(Part([p], columns))
    return parts


def _overflowed(
    task: Task, arrays: Arrays, x: NDArray, step: int, probes: Sequence[str], checkpoints: bool
) -> Columns:
    """The columns of a point whose state overflows at ``step``: its curves end where the states do."""
    point = task.point
    columns: Columns = {"gamma_nominal": _nominal([point], [arrays], make_cell(point))}
    if step > 1:
        times = tuple(t for t in point.steps_with_loss if t < step) or (step - 1,)
        short = stack([point], [arrays], [x[: step - 1]], times)
        columns = _columns([task], [arrays], short, forward(short, checkpoints), probes, Room())
    last = f"; curves start from step {step - 1}" if step > 1 and step <= point.steps_with_loss[-1] else ""
    columns["status"] = ["overflow"]
    columns["status_detail"] = [
        f"the state leaves the range of {point.dtype} at step {step} of {point.length}{last}"
    ]
    return columns


def _nominal(points: Sequence[Point], parameters: Sequence[Arrays], cell: Cell) -> NDArray[np.float64]:
    """γ_nominal (P,) from the arrays as the points' dtype has them."""
    dtype, values = points[0].dtype, []
    for point, arrays in zip(points, parameters, strict=True):
        cast = arrays
        if dtype != "float64":
            cast = {name: np.asarray(a, dtype).astype(np.float64) for name, a in arrays.items()}
        values.append(cell.nominal(dict(cast), point.leak))
    return np.array(values)


def _columns(
    tasks: Sequence[Task],
    parameters: Sequence[Arrays],
    whole: Stack,
    tape: Tape,
    probes: Sequence[str],
    room: Room,
) -> Columns:
    """Sweep back and measure. Norms are the same whatever the probes."""
    outputs = read(whole, tape)
    points, own = [task.point for task in tasks], [task.inputs is not None for task in tasks]
    chosen = [PROBES[name] for name in probes if PROBES[name].lacking(type(whole.cell)) is None]
    gradients, adjoints = any(p.of_gradient for p in chosen), any(p.of_adjoint for p in chosen)
    back = backward(whole, tape, outputs, norms_only=not gradients, adjoints=adjoints, room=room)
    swept = Swept(whole, tape, outputs, back, _nominal(points, parameters, whole.cell), own)
    columns: Columns = {"gamma_nominal": swept.nominal, "loss_value": outputs.loss_value()}
    for probe in chosen:
        columns.update(probe.measure(swept))
    if back.alive:
        fine = {"dead_fraction": np.zeros(len(points)), "status": ["ok"] * len(points)}
        return columns | fine | {"status_detail": [None] * len(points)}
    ln = back.ln_adjoint
    columns["dead_fraction"] = np.isneginf(ln[:, :, 0]).reshape(len(points), -1).mean(axis=-1)
    said = _statuses(ln, whole.loss_times, outputs.signal)
    return columns | {"status": [one for one, _ in said], "status_detail": [detail for _, detail in said]}


def _statuses(
    ln_adjoint: NDArray[np.float64], loss_times: tuple[int, ...], signal: NDArray[np.floating]
) -> list[tuple[str, str | None]]:
    """``status`` of every point, from ln‖λ_{t,k}‖ (P, R, T, B) and ∂L_t/∂h_t (P, R, B, N)."""
    P = len(ln_adjoint)
    said: list[tuple[str, str | None]] = [("ok", None)] * P
    wrong = (np.isnan(ln_adjoint) | np.isposinf(ln_adjoint)).reshape(P, -1).any(axis=-1)
    starts = ln_adjoint[:, np.arange(len(loss_times)), np.array(loss_times) - 1]
    dead = [np.isneginf(one).reshape(P, -1).all(axis=-1) for one in (starts, ln_adjoint[:, :, 0])]
    silent = ~signal.reshape(P, -1).any(axis=-1)
    for p in np.flatnonzero(wrong | dead[0] | dead[1] | silent).tolist():
        said[p] = status(ln_adjoint[p], loss_times, signal[p])
    return said


def status(
    ln_adjoint: NDArray[np.float64], loss_times: tuple[int, ...], signal: NDArray[np.floating]
) -> tuple[str, str | None]:
    """ok, no_signal, dead or overflow from ln‖λ_{t,k}‖ (R, T, B), with the step it speaks of.

    ``signal`` (R, B, N) is ∂L_t/∂h_t: where it is zero throughout there is nothing to propagate.
    """
    if not signal.any():
        return "no_signal", "the loss has no gradient at any loss time"
    at_start = ln_adjoint[np.arange(len(loss_times)), np.array(loss_times) - 1]
    if np.isneginf(at_start).all():
        return "dead", "the read-out is saturated beyond any range: nothing of the loss reaches the state"
    wrong = np.isnan(ln_adjoint) | np.isposinf(ln_adjoint)
    if wrong.any():
        step = int(np.flatnonzero(wrong.any(axis=(0, 2)))[-1]) + 1
        return "overflow", f"the adjoint leaves the range within one step, at step {step}"
    if np.isneginf(ln_adjoint[:, 0]).all():
        alive = np.flatnonzero(np.isfinite(ln_adjoint).any(axis=(0, 2)))
        return "dead", f"every adjoint is exactly zero before step {int(alive[0]) + 1}"
    return "ok", None
