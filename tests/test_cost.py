"""A plan's memory is an upper limit that is not absurd: over every cell, against what NumPy really allocates;
seconds and stacks move with the sizes as they should."""

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


FEW = (
    dict(length=200, batch_size=1, hidden_size=16),
    dict(length=8, hidden_size=96),
    dict(length=48, batch_size=4, hidden_size=24, loss_times="every"),
    dict(length=64, dtype="float32", batch_size=32, hidden_size=24, loss_times="16"),
    dict(length=40, batch_size=300, hidden_size=8),
    dict(length=500, hidden_size=8, batch_size=2),
)


def check(shard: Shard) -> None:
    """That what is allocated is within the estimate, and the estimate within five times that."""
    needed, estimate = peak(shard), shard.memory - cost.base_memory()
    assert needed <= estimate + cost.STACK, (shard.points[0], needed, estimate)
    assert estimate <= 5 * needed, (shard.points[0], needed, estimate)


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
        check(Shard.of([Point(cell=cell, seed=seed, **shape) for seed in range(4)], DEFAULT_PROBES))


def test_a_small_point_is_estimated_alone_and_in_company() -> None:
    small = dict(length=1, hidden_size=2, batch_size=1)
    compute(Shard.of([Point(**small)], DEFAULT_PROBES))
    for count in (1, 10, 100):
        check(Shard.of([Point(seed=seed, **small) for seed in range(count)], DEFAULT_PROBES))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("probe", PROBES)
def test_memory_estimate_covers_what_each_probe_allocates(probe: str, cell: str) -> None:
    if PROBES[probe].lacking(CELLS[cell]) is not None:
        assert any(PROBES[probe].lacking(one) is None for one in CELLS.values()), "some cell has it"
        return
    compute(Shard.of([Point(cell=cell, length=4)], (probe,)))
    for shape in FEW[list(CELLS).index(cell) % 2 :: 2]:  # every shape for every other cell
        check(Shard.of([Point(cell=cell, seed=seed, **shape) for seed in range(2)], (probe,)))


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru", "diagonal"])
def test_several_probes_together_stay_within_their_estimate(cell: str) -> None:
    probes = tuple(name for name, probe in PROBES.items() if probe.lacking(CELLS[cell]) is None)
    compute(Shard.of([Point(cell=cell, length=4)], probes))
    for shape in (
        dict(length=100, batch_size=8, hidden_size=16),
        dict(length=60, batch_size=8, hidden_size=8, loss_times="every"),
        dict(length=90, hidden_size=16, loss_times="16", dtype="float32"),
    ):
        check(Shard.of([Point(cell=cell, seed=seed, **shape) for seed in range(2)], probes))


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_a_tape_of_checkpoints_stays_within_its_estimate(cell: str) -> None:
    more = (*DEFAULT_PROBES, "lyapunov", "truncated_bptt")
    for probes, shape in (
        (DEFAULT_PROBES, dict(length=6000, hidden_size=16, batch_size=4)),
        (more, dict(length=500, hidden_size=32, batch_size=2)),
    ):
        points = [Point(cell=cell, seed=seed, **shape) for seed in range(2)]
        check(Shard.of(points, probes, checkpoints=True))
        parts, whole = (cost.memory(points[0], DEFAULT_PROBES, checkpoints=c) for c in (True, False))
        assert parts < whole


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


SIZES = ("length", "batch_size", "hidden_size", "input_size")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_seconds_grow_with_every_size(cell: str, dtype: str) -> None:
    for name in SIZES:
        taken = [
            cost.seconds(Point(cell=cell, dtype=dtype, **{name: n}), DEFAULT_PROBES)
            for n in (2, 8, 16, 64, 256)
        ]
        assert taken == sorted(taken), (name, taken)
        assert taken[0] < taken[-1]
    times = [
        cost.seconds(Point(cell=cell, dtype=dtype, loss_times=r), DEFAULT_PROBES)
        for r in ("last", "2", "16", "every")
    ]
    assert times == sorted(times)
    assert len(set(times)) == 4


@pytest.mark.parametrize("cell", CELLS)
def test_a_stack_has_fewer_points_where_they_are_larger(cell: str) -> None:
    for name in ("hidden_size", "batch_size", "input_size"):
        shapes = [dict(hidden_size=16) | {name: n} for n in (2, 8, 32, 128, 512)]
        found = [cost.stack_points(Point(cell=cell, **shape)) for shape in shapes]
        assert found == sorted(found, reverse=True), (name, found)
        assert found[0] > found[-1] >= 1 or name == "input_size"
    small, large = (Point(cell=cell, length=n) for n in (2, 5000))
    assert cost.stack_points(small) == cost.stack_points(large), "a step is a step"
    double, single = (Point(cell=cell, hidden_size=64, dtype=d) for d in ("float64", "float32"))
    assert cost.stack_points(double) <= cost.stack_points(single) <= 2 * cost.stack_points(double) + 1


def test_a_shard_of_several_stacks_is_planned_by_one_of_them_and_the_rows() -> None:
    one = dict(length=300, hidden_size=16, batch_size=4)
    points = [Point(**one, seed=seed) for seed in range(24)]
    compute(Shard.of(points[:1], DEFAULT_PROBES))
    apart, whole = (Shard.of(points, DEFAULT_PROBES, stack=stack) for stack in (2, 24))
    assert apart.memory < whole.memory
    for shard in (apart, whole):
        check(shard)
    assert peak(apart) < peak(whole) / 2


@pytest.mark.parametrize("shape", [dict(length=100), dict(length=1, hidden_size=1, batch_size=1)])
def test_points_of_a_shard_fill_a_worker_and_no_more(shape: dict) -> None:
    point = Point(**shape)
    for room in (20 << 20, 50 << 20, 800 << 20):
        budget = cost.base_memory() + room
        costs = cost.Costs.within(point, DEFAULT_PROBES, budget)
        count = costs.most(budget)
        assert count >= costs.stack >= 1
        assert not costs.checkpoints
        assert costs.memory(count) <= budget < costs.memory(count + 1)
    none = cost.base_memory() + 1
    assert cost.Costs.within(point, DEFAULT_PROBES, none).most(none) == 0
