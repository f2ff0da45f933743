"""The numerics alone, without Ray or a database: rows of points, and every array of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from . import cost, records
from .errors import InvalidPoint, TooLarge, nearest
from .kernel import Task, numerics, run, status, sweep
from .many import Points
from .outputs import project
from .points import Point, identity
from .probes import DEFAULT_PROBES, check_probes
from .stack import draw_targets, make_cell
from .tape import Tape

Parameters = Mapping[str, ArrayLike]


def measure(
    points: Point | Sequence[Point],
    parameters: Parameters | Sequence[Parameters] | None = None,
    inputs: ArrayLike | Sequence[ArrayLike] | None = None,
    probes: Iterable[str] = DEFAULT_PROBES,
    memory: int | None = None,
) -> pa.Table:
    """One row a point, as a worker writes it: parameters, status, measures, curves as lists.

    ``parameters``: own trained arrays by name (some or all; in the shapes of the reference page), one
    mapping for all points or one a point. ``inputs``: own sequences x (T, B, M), one for all or one a point.
    ``memory``: bytes that a stack may take; without, half of what is free. Raises InvalidPoint (names, shapes,
    NaN) and TooLarge.
    """
    several = [points] if isinstance(points, Point) else list(points)
    chosen = check_probes(probes, {point.cell for point in several})
    tasks = tasks_of(several, parameters, inputs)
    parts = [
        part.at(stacked)
        for stacked, checkpoints in _stacks(tasks, chosen, allowance(memory))
        for part in run([tasks[i] for i in stacked], chosen, checkpoints)
    ]
    ids = [_identity(task) for task in tasks]
    return records.table(Points.of(several), ids, parts, chosen, float("nan"))


def tasks_of(points: Sequence[Point], parameters: Any = None, inputs: Any = None) -> list[Task]:
    """Points with the caller's own arrays, checked: names, shapes, finite values. Raises InvalidPoint."""
    own = _one_each(parameters, len(points), isinstance(parameters, Mapping), "parameters")
    shared = inputs is not None and not isinstance(inputs, (list, tuple)) and np.ndim(inputs) == 3
    driven = _one_each(inputs, len(points), shared, "inputs")
    return [
        Task(point, _own_parameters(point, arrays or {}), None if x is None else _own_inputs(point, x))
        for point, arrays, x in zip(points, own, driven, strict=True)
    ]


def _one_each(given: Any, count: int, shared: bool, what: str) -> list[Any]:
    if given is None or shared:
        return [given] * count
    several = list(given)
    if len(several) != count:
        raise InvalidPoint(f"{len(several)} {what} for {count} points: give one for all, or one a point")
    return several


def _own_parameters(point: Point, given: Mapping[str, Any]) -> dict[str, NDArray]:
    cell, sizes = make_cell(point), (point.hidden_size, point.input_size, point.output_size)
    shapes = cell.shapes(*sizes) | cell.optional(*sizes)
    arrays = {}
    for name, value in given.items():
        if name not in shapes:
            raise InvalidPoint(f"{cell.lacks(name)}: {nearest(name, shapes)}")
        arrays[name] = _checked(f"{name} of the {point.cell} cell", value, shapes[name])
    partly = set(arrays) - {"V", "d"} and not set(shapes) <= set(arrays)
    if partly and point.gamma_kind == "realised":
        raise InvalidPoint(
            f"gamma_kind = 'realised' with own {', '.join(arrays)}: give every array ({', '.join(shapes)}; then "
            "nothing is calibrated), or only V and d: a calibration draws all that the state depends on"
        )
    return arrays


def _own_inputs(point: Point, given: Any) -> NDArray:
    return _checked("inputs (T, B, M)", given, (point.length, point.batch_size, point.input_size))


def _checked(what: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(value, np.float64)
    if array.shape != shape:
        raise InvalidPoint(f"{what} has shape {array.shape}: this point needs {shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidPoint(f"{what} is {array[where]} at {where}: give finite numbers")
    return array


def _identity(task: Task) -> str:
    """The point's id; with the digest of the caller's own arrays where there are any."""
    own = dict(task.parameters) | ({} if task.inputs is None else {"inputs": task.inputs})
    if not own:
        return task.point.point_id
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(own.items()):
        digest.update(f"{name}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return identity(task.point, digest.hexdigest())


def allowance(memory: int | None) -> int:
    """Bytes that may be used: those given, or half of what is free."""
    return psutil.virtual_memory().available // 2 if memory is None else memory


def _stacks(tasks: Sequence[Task], probes: Sequence[str], budget: int) -> list[tuple[list[int], bool]]:
    """Indices of tasks grouped by shape and by the optional arrays that they have, cut so that a stack stays
    within so many bytes and a step in the processor's cache; and whether its tape needs checkpoints for that."""
    groups: dict[Any, list[int]] = {}
    for i, task in enumerate(tasks):
        required = make_cell(task.point).shapes(1, 1, 1)
        optional = tuple(sorted(set(task.parameters) - set(required)))
        groups.setdefault((task.point.shape, optional), []).append(i)
    stacks = []
    for members in groups.values():
        first = tasks[members[0]].point
        each, checkpoints = cost.fitting(first, probes, min(budget, _STACK_BYTES))
        if each > budget:
            raise TooLarge(_too_large(first, each, budget))
        fit = max(1, min(min(budget, _STACK_BYTES) // each, cost.stack_points(first)))
        stacks += [(members[i : i + fit], checkpoints) for i in range(0, len(members), fit)]
    return stacks


_STACK_BYTES = 1 << 29


def _too_large(point: Point, need: int, have: int) -> str:
    return (
        f"{point!r} needs about {need / 2**30:.2g} GiB, {max(have, 0) / 2**30:.2g} GiB may be used: "
        "lower length, batch_size, hidden_size or the number of loss_times, or raise memory"
    )


@dataclass(frozen=True, repr=False)
class Trace:
    """Every array of one point; T steps, B columns, S state width, G·N net inputs, R loss times.

    ``parameters`` and ``gradients`` by name, in the shapes of the reference page; ``inputs`` (T, B, M); ``targets``
    (T, B, K) or classes (T, B); ``states`` (T+1, B, S), states[0] the start; ``net_inputs`` (T, B, G·N);
    ``outputs`` (T, B, K); ``loss``; ``loss_times`` (R,), steps from 1; ``error_terms`` (R, T, B, G·N), unit
    vectors δ_{t,k}/‖δ_{t,k}‖ with t = loss_times[r] and k at index k−1; ``ln_norms`` (R, T, B) = ln‖δ_{t,k}‖;
    for k > t or a norm of zero: the zero vector and −inf. ``ln_adjoint_norms`` (R, T, B) = ln‖λ_{t,k}‖.
    Where the state overflows, the status says so, the loss times are those before, and later steps are
    as the sweep left them. A gradient beyond range is ±inf.
    """

    point: Point
    status: str
    status_detail: str | None
    parameters: dict[str, NDArray]
    inputs: NDArray
    targets: NDArray
    states: NDArray
    net_inputs: NDArray
    outputs: NDArray
    loss: float
    gradients: dict[str, NDArray]
    loss_times: tuple[int, ...]
    error_terms: NDArray
    ln_norms: NDArray
    ln_adjoint_norms: NDArray

    def __repr__(self) -> str:
        """What a notebook shows: the point, its status and loss, and the shapes of the arrays."""
        arrays = {n: v.shape for n, v in vars(self).items() if isinstance(v, np.ndarray)}
        shapes = ", ".join(f"{name} {shape}" for name, shape in arrays.items())
        return f"<Trace of {self.point!r}: {self.status}, loss {self.loss:.6g}; {shapes}>"


def trace(point: Point, parameters: Parameters | None = None, inputs: ArrayLike | None = None) -> Trace:
    """Every array of one point, from the same sweeps that ``measure`` runs.

    Raises InvalidPoint (names, shapes, NaN), Unreachable (no such gamma), TooLarge (would not fit in memory).
    """
    _refuse_beyond_memory(point)
    task = tasks_of(
        [point], None if parameters is None else [parameters], None if inputs is None else [inputs]
    )[0]
    terms = _Terms(point)
    with numerics():
        arrays = {name: np.asarray(a, point.dtype) for name, a in task.all_parameters().items()}
        stack, tape, outputs, back, overflow = sweep(task, arrays, terms.keep)
        states, net = _arrays(tape, len(stack.cell.gates))
        hidden = stack.cell.read_out(np.ascontiguousarray(states[1:, :, None].transpose(1, 2, 0, 3, 4)))
        predicted = project(stack, np.ascontiguousarray(hidden))[0]
        gradients = back.gradients.arrays({name: a.shape for name, a in arrays.items()})
    said = status(back.ln_adjoint[0], stack.loss_times, outputs.signal[0])
    if overflow:
        said = "overflow", f"the state leaves the range of {point.dtype} at step {overflow} of {point.length}"
    T, R = point.length, len(stack.loss_times)
    return Trace(
        point,
        *said,
        arrays,
        task.all_inputs().astype(point.dtype),
        draw_targets(point).astype(point.dtype) if point.target == "gaussian" else draw_targets(point),
        _joined(states),
        _joined(net),
        predicted,
        float(outputs.loss_value()[0]),
        {name: g[0] for name, g in gradients.items()},
        stack.loss_times,
        np.ascontiguousarray(terms.error_terms[:R][::-1]),
        _padded(back.absolute(back.ln_delta)[0], T),
        _padded(back.absolute(back.ln_adjoint)[0], T),
    )


class _Terms:
    """Gathers error terms (R, T, B, G·N), last loss time first, as the sweep passes."""

    def __init__(self, point: Point) -> None:
        cell, R = make_cell(point), len(point.steps_with_loss)
        width = len(cell.gates) * point.hidden_size
        self.error_terms = np.zeros((R, point.length, point.batch_size, width), point.dtype)

    def keep(self, k: int, first: int, unit: NDArray) -> None:
        """Unit vectors (G, 1, Q, B, N) of step k + 1, of the rows from ``first`` on; zero where the norm is."""
        for row in range(unit.shape[2]):
            self.error_terms[first + row, k] = _joined(unit[:, 0, row][None])[0]


def _arrays(tape: Tape, gates: int) -> tuple[NDArray, NDArray]:
    """The states (T+1, components, B, N) and net inputs (T, G, B, N) of the only point."""
    segments = list(tape.segments())
    states = [one.states[:, :, 0] if i == 0 else one.states[1:, :, 0] for i, one in enumerate(segments)]
    return np.concatenate(states), np.concatenate([one.net[:, :gates, 0] for one in segments])


def _joined(blocks: NDArray) -> NDArray:
    """(T, blocks, B, N) -> (T, B, blocks·N)."""
    T, G, B, N = blocks.shape
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(T, B, G * N)


def _padded(norms: NDArray, T: int) -> NDArray:
    """(R, steps, B) -> (R, T, B), −inf behind."""
    behind = np.full((norms.shape[0], T - norms.shape[1], norms.shape[2]), -np.inf)
    return np.concatenate([norms, behind], axis=1)


def _refuse_beyond_memory(point: Point) -> None:
    terms = len(point.steps_with_loss) * point.length * point.batch_size * point.hidden_size
    width = len(make_cell(point).gates) + make_cell(point).components
    need = cost.memory(point, DEFAULT_PROBES) + 8 * width * (
        2 * terms + 2 * terms // len(point.steps_with_loss)
    )
    have = psutil.virtual_memory().available
    if need > have:
        raise TooLarge(_too_large(point, need, have))
