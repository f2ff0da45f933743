"""Our side of the kernel workloads: arrays ready made, stacks as the service would cut them, the numbers of an
Answer.

``run`` of the kernel also draws the arrays, takes the norm behind γ_nominal, losses, quantiles and the status. The
comparison with peers is between ``Sweeps``: from arrays to error terms, adjoints, their curves and all gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..service.plan import plan
from ..workers import cost
from ..workers.adjoint import backward
from ..workers.curves import curve
from ..workers.kernel import Part, Task, numerics, run
from ..workers.outputs import read
from ..workers.points import Point
from ..workers.probes import PROBES
from ..workers.probes.window import window
from ..workers.room import Room
from ..workers.stack import Stack, draw_inputs, draw_parameters, draw_targets, stack
from ..workers.tape import forward
from .peers.base import Answer, Problem

MEMORY = 1 << 30
"""Of a worker, as the settings have it."""


def points_of(point: Point, P: int) -> list[Point]:
    """P points that differ in their seed only."""
    return [point.replace(seed=seed) for seed in range(P)]


def problem_of(points: Sequence[Point], kind: str) -> Problem:
    """The points' own arrays, drawn and stacked, in their type."""
    one = points[0]
    drawn = [draw_parameters(point) for point in points]
    parameters = {name: np.stack([p[name] for p in drawn]).astype(one.dtype) for name in drawn[0]}
    inputs = np.stack([draw_inputs(point) for point in points]).astype(one.dtype)
    rows = [t - 1 for t in one.steps_with_loss]
    labels = np.stack([draw_targets(point)[rows] for point in points]).astype(one.dtype)
    where = window(one.length), cost.sizes(one).columns
    return Problem(kind, one.cell, one.dtype, parameters, inputs, labels, one.steps_with_loss, *where)


def planned_stack(points: Sequence[Point], probes: tuple[str, ...]) -> int:
    """How many of these points one worker's plan computes together."""
    return plan(points, lambda _: probes, 1, MEMORY).shards[0].stack


def parts(count: int, size: int) -> list[slice]:
    """So many points in stacks of at most ``size``, as equal as may be."""
    number = -(-count // size)
    edges = [count * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Sweeps:
    """Stacks with their arrays in place, ready for both sweeps."""

    stacks: tuple[Stack, ...]
    problem: Problem
    room: Room
    """Shared by all stacks and all rounds, as by the many stacks of a shard."""

    @classmethod
    def of(cls, points: Sequence[Point], problem: Problem, size: int) -> Sweeps:
        """The points in stacks of ``size``; making them is not part of the time, as with the peers' tensors."""
        made = []
        for some in parts(len(points), size):
            arrays = [{n: v[i] for n, v in problem.parameters.items()} for i in range(some.start, some.stop)]
            made.append(stack(points[some], arrays, [*problem.inputs[some]], problem.loss_times))
        return cls(tuple(made), problem, Room())

    def answer(self) -> Answer:
        """Curves and all gradients; for a loss at every step ln‖δ‖ alone."""
        with numerics():
            found = [self._one(part) for part in self.stacks]
        return joined(found)

    def _one(self, part: Stack) -> Answer:
        pairs, room = self.problem.kind == "pairs", self.room
        tape = forward(part, room=room)
        back = backward(part, tape, read(part, tape), norms_only=pairs, adjoints=not pairs, room=room)
        tape.release(room)
        if pairs:
            return Answer({"delta": back.absolute(back.ln_delta)})
        ln = {"delta": back.ln_delta, "adjoint": back.ln_adjoint}
        none = np.arange(0)
        curves = {kind: curve(v, part.loss_times, none).mean for kind, v in ln.items()}
        shapes = {name: value.shape[1:] for name, value in self.problem.parameters.items()}
        return Answer({k: back.absolute(v) for k, v in ln.items()}, curves, back.gradients.arrays(shapes))


def exact(points: Sequence[Point], problem: Problem, size: int) -> Answer:
    """Of the same arrays in double precision: how far from it an answer is by rounding."""

    def double(arrays: NDArray) -> NDArray:
        return arrays.astype(np.float64)

    wide = replace(
        problem,
        dtype="float64",
        parameters={name: double(value) for name, value in problem.parameters.items()},
        inputs=double(problem.inputs),
        labels=double(problem.labels),
    )
    return Sweeps.of([point.replace(dtype="float64") for point in points], wide, size).answer()


def joined(found: Sequence[Answer]) -> Answer:
    """Answers of several stacks side by side."""

    def together(parts: Sequence[dict[str, NDArray]]) -> dict[str, NDArray]:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    ln, curves, gradients = (
        together([dict(getattr(one, name)) for one in found]) for name in ("ln", "curves", "gradients")
    )
    return Answer(ln, curves, gradients)


def whole(points: Sequence[Point], probes: Sequence[str], size: int) -> list[Part]:
    """What a worker does but for the file: arrays drawn, both sweeps, every column of the probes."""
    assert set(probes) <= set(PROBES)
    found, room = list[Part](), Room()
    for some in parts(len(points), size):
        found += run([Task(point) for point in points[some]], probes, room=room)
    return found


def spectrum(points: Sequence[Point], size: int) -> Answer:
    """The Lyapunov spectrum as the probe gives it."""
    found = whole(points, ("lyapunov",), size)
    return Answer(spectrum=np.concatenate([part.columns["lyapunov_spectrum"] for part in found]))
