"""A tape of checkpoints has the bits of a whole one, at every length, cell and number of columns."""

import pickle

import numpy as np
import pytest
from longlag.workers.cells import CELLS
from longlag.workers.kernel import Task, numerics, run
from longlag.workers.points import Point
from longlag.workers.probes import PROBES
from longlag.workers.stack import stack
from longlag.workers.tape import Checkpoints, Whole, forward, overflow_step, spacing_of

SHAPES = (
    dict(length=300, batch_size=5, loss_times="3"),
    dict(length=130, batch_size=1, loss_times="every"),
    dict(length=65, batch_size=300),
    dict(length=1),
)


def tapes(point: Point) -> tuple[Whole, Checkpoints]:
    task = Task(point)
    one = stack([point], [task.all_parameters()], [task.all_inputs()], point.steps_with_loss)
    whole, parts = forward(one), forward(one, checkpoints=True)
    assert isinstance(whole, Whole)
    assert isinstance(parts, Checkpoints)
    return whole, parts


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"T{s['length']}")
@pytest.mark.parametrize("cell", CELLS)
def test_every_measure_has_the_same_bits(cell: str, shape: dict) -> None:
    tasks = [Task(Point(cell=cell, hidden_size=4, seed=seed, **shape)) for seed in range(2)]
    chosen = [name for name, probe in PROBES.items() if probe.lacking(CELLS[cell]) is None]
    (whole,), (parts,) = run(tasks, chosen), run(tasks, chosen, checkpoints=True)
    assert whole.places == parts.places == [0, 1]
    assert whole.columns.keys() == parts.columns.keys()
    for name, value in whole.columns.items():
        assert pickle.dumps(np.asarray(value)) == pickle.dumps(np.asarray(parts.columns[name])), name


@pytest.mark.parametrize("length", [1, 63, 64, 65, 4096, 4097])
def test_segments_cover_all_steps_in_both_directions(length: int) -> None:
    whole, parts = tapes(Point(length=length, hidden_size=2, batch_size=1))
    for tape in (whole, parts):
        there = [(s.start, s.stop) for s in tape.segments()]
        assert there == [(s.start, s.stop) for s in tape.segments(backwards=True)][::-1]
        assert [0, *(stop for _, stop in there)] == [*(start for start, _ in there), length]
        assert (tape.last == whole.states[-1]).all()
        times = sorted({1, length // 2 + 1, length})
        assert (tape.at(times) == whole.states[times]).all()
    for part in parts.segments():
        assert (part.states == whole.states[part.start : part.stop + 1]).all()
        assert (part.net == whole.net[part.start : part.stop]).all()


def test_checkpoints_keep_little() -> None:
    length = 10_000
    whole, parts = tapes(Point(length=length, hidden_size=3, batch_size=2))
    assert parts.states.nbytes + spacing_of(length) * whole.states[0].nbytes < whole.states.nbytes / 20


def test_the_step_of_an_overflow_is_found_in_both() -> None:
    with numerics():
        whole, parts = tapes(
            Point(activation="identity", gamma=1.5, length=3000, hidden_size=3, batch_size=2)
        )
        assert overflow_step(parts)[0] == overflow_step(whole)[0]
    step = int(overflow_step(whole)[0])
    assert not np.isfinite(whole.states[step]).all()
    assert np.isfinite(whole.states[step - 1]).all()
