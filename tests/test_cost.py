"""A plan's memory is an upper limit that is not absurd: over every cell, against what NumPy really allocates."""

import tracemalloc

import pytest
from longlag.workers import cost
from longlag.workers.cells import CELLS
from longlag.workers.points import Point
from longlag.workers.probes import DEFAULT_PROBES, PROBES
from longlag.workers.task import Shard, compute

SHAPES = (
    dict(length=128),
    dict(length=400, batch_size=1, hidden_size=16),
    dict(length=8, hidden_size=128),
    dict(length=48, batch_size=4, loss_times="every"),
    dict(length=128, dtype="float32", batch_size=32),
    dict(length=100, batch_size=300, hidden_size=40),
)


def peak(shard: Shard) -> int:
    """Most bytes allocated while a shard is computed."""
    tracemalloc.start()
    try:
        compute(shard)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", CELLS)
def test_memory_estimate_covers_what_a_stack_allocates(cell: str) -> None:
    # imports and caches are no part of a stack
    compute(Shard.of([Point(cell=cell, length=4)], DEFAULT_PROBES))
    for shape in SHAPES:
        shard = Shard.of([Point(cell=cell, seed=seed, **shape) for seed in range(4)], DEFAULT_PROBES)
        needed, estimate = peak(shard), shard.memory - cost.base_memory()
        assert needed <= estimate <= 5 * needed, (shape, needed, estimate)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("probe", PROBES)
def test_memory_estimate_covers_what_each_probe_allocates(probe: str, cell: str) -> None:
    if PROBES[probe].lacking(CELLS[cell]) is not None:
        assert not PROBES[probe].lacking(CELLS["lstm"]), "one cell at least has it"
        return
    compute(Shard.of([Point(cell=cell, length=4)], (probe,)))
    for shape in (*SHAPES[1:5], dict(length=700, hidden_size=8, batch_size=2)):
        shard = Shard.of([Point(cell=cell, seed=seed, **shape) for seed in range(2)], (probe,))
        needed, estimate = peak(shard), shard.memory - cost.base_memory()
        assert needed <= estimate <= 5 * needed, (shape, needed, estimate)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_a_tape_of_checkpoints_stays_within_its_estimate(cell: str) -> None:
    probes = ("curves", "gradients", "saturation", "lyapunov", "truncated_bptt")
    for shape in (dict(length=6000, hidden_size=16, batch_size=8), dict(length=2000, batch_size=2)):
        shard = Shard.of(
            [Point(cell=cell, seed=seed, **shape) for seed in range(2)], probes, checkpoints=True
        )
        needed, estimate = peak(shard), shard.memory - cost.base_memory()
        whole = cost.memory(shard.points[0], probes)
        assert needed <= estimate <= 5 * needed, (shape, needed, estimate)
        assert estimate < 2 * whole


@pytest.mark.parametrize("cell", ["simple", "lstm"])
def test_memory_estimate_covers_a_calibration(cell: str) -> None:
    shape = dict(cell=cell, length=4, batch_size=1, hidden_size=48, gamma=0.9, gamma_kind="realised")
    compute(Shard.of([Point(**shape)], DEFAULT_PROBES))
    shard = Shard.of([Point(seed=seed, **shape) for seed in range(4)], DEFAULT_PROBES)
    needed, estimate = peak(shard), shard.memory - cost.base_memory()
    assert needed <= estimate <= 5 * needed, (needed, estimate)


def test_a_longer_or_wider_point_costs_more() -> None:
    base = Point(length=32, hidden_size=32)
    for change in (
        dict(length=64),
        dict(hidden_size=64),
        dict(batch_size=64),
        dict(loss_times="every"),
    ):
        larger = base.replace(**change)
        assert cost.seconds(larger, DEFAULT_PROBES) > cost.seconds(base, DEFAULT_PROBES), change
        assert cost.memory(larger, DEFAULT_PROBES) > cost.memory(base, DEFAULT_PROBES), change
