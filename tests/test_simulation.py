"""The simulation against closed forms; every point ends once and every second is somebody's, whatever is lost."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longlag import Study, linspace
from longlag.benchmarks.simulation import Luck, Served, Simulated, simulate
from longlag.service.driver import TOGETHER
from longlag.service.plan import plan
from longlag.workers.points import Point
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.task import Shard


def equal(count: int, size: int = 1) -> list[Shard]:
    """Shards of equal seconds."""
    points = [Point(length=2, hidden_size=2, batch_size=1, seed=seed) for seed in range(count * size)]
    return [Shard.of(points[i : i + size], DEFAULT_PROBES) for i in range(0, len(points), size)]


def accounted(found: Simulated) -> float:
    """Every second of every worker, by what it was."""
    planning = found.workers * found.planning
    return planning + found.started + found.starved + found.busy + found.lost + found.tail


@pytest.mark.parametrize("workers", [1, 3, 10, 64])
@pytest.mark.parametrize("count", [1, 10, 63, 200])
def test_equal_shards_without_overheads(count: int, workers: int) -> None:
    shards = equal(count)
    found = simulate(shards, workers, Served())
    s = shards[0].seconds
    assert found.makespan == pytest.approx(math.ceil(count / workers) * s)
    assert found.efficiency == pytest.approx(count / workers / math.ceil(count / workers))
    assert (found.ended, found.failed, found.shards) == (count, 0, count)


@pytest.mark.parametrize("workers", [100, 1000])
def test_a_driver_that_is_too_slow(workers: int) -> None:
    """Shards take nothing beside the driver: it sends them one by one, then takes what has come back."""
    shards = equal(300, size=2)
    served = Served(dispatch=0.1, receipt=0.03, row=0.01)
    found = simulate(shards, workers, served)
    assert found.driver == pytest.approx(
        {"dispatch": 30, "asked": 0, "receipt": 9, "row": 6, "transaction": 0}
    )
    assert found.makespan == pytest.approx(300 * (0.1 + 0.03 + 2 * 0.01), rel=1e-4)
    assert found.driver_share == pytest.approx(1, rel=1e-4)
    assert found.bottleneck == "the driver: sending shards"


def test_the_index_as_the_bottleneck() -> None:
    found = simulate(equal(20, size=50), 10, Served(dispatch=0.1, receipt=0.1, row=1.0))
    assert found.makespan == pytest.approx(20 * (0.1 + 0.1 + 50), rel=1e-3)
    assert found.bottleneck == "the index: rows"


def test_what_comes_back_together_is_one_transaction() -> None:
    n = 2 * TOGETHER + 1
    together = simulate(equal(n), n, Served(latency=0.1, transaction=1e-3), window=n)
    assert together.driver["transaction"] == pytest.approx(3e-3)
    one_by_one = simulate(equal(n), 1, Served(transaction=1e-6), window=n)
    assert one_by_one.driver["transaction"] == pytest.approx(1e-6 * n)


def test_asking_costs_by_what_is_in_flight() -> None:
    """A window of n that is asked once while all n are out, then after each of them."""
    n = 40
    shards = equal(n)
    found = simulate(shards, n, Served(asked=1e-3, latency=0.1), window=n)
    assert found.driver["asked"] == pytest.approx(1e-3 * n)  # they come back together
    one_by_one = simulate(shards, 1, Served(asked=1e-12), window=n)
    assert one_by_one.driver["asked"] == pytest.approx(1e-12 * n * (n + 1) / 2)


def test_planning_start_up_and_the_way_are_paid_once_or_for_every_shard() -> None:
    shards = equal(8)
    s = shards[0].seconds
    found = simulate(shards, 4, Served(latency=2.0), Luck(start_up=7.0), planning=5.0)
    assert found.makespan == pytest.approx(5 + 2 + 7 + 2 * s + 2)  # the second shard waits at its worker
    assert found.started == pytest.approx(4 * 7)
    assert found.losses["planning"] == pytest.approx(5 / found.makespan)
    assert accounted(found) == pytest.approx(4 * found.makespan)
    alone = simulate(shards, 4, Served(latency=2.0), window=4)  # each is sent when the one before is back
    assert alone.makespan == pytest.approx(2 * (2 + s + 2))


def test_the_longest_first_is_within_grahams_bound() -> None:
    """Longest first ends within 4/3 − 1/(3w) of the optimum (Graham 1969), which is no less than the ideal."""
    study = Study(
        "s", cell=["simple", "lstm"], length=[16, 100, 300], gamma=linspace(0.5, 0.9, 5), seed=range(20)
    )
    for workers in (2, 7, 30):
        work = plan(study.parts(), DEFAULT_PROBES, workers, 1 << 30)
        found = simulate(work.shards, workers, Served())
        least = max(work.seconds / workers, max(shard.seconds for shard in work.shards))
        assert least * (1 - 1e-9) <= found.makespan <= (4 / 3 - 1 / (3 * workers)) * least
        assert found.ended == study.size
        assert found.ideal == pytest.approx(work.seconds / workers)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.integers(1, 5),
    st.floats(0, 0.9),
    st.floats(0, 0.5),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_every_point_ends_once_and_every_second_is_somebodys(
    sizes: list[int], workers: int, deaths: float, stragglers: float, spread: float, seed: int
) -> None:
    points = iter(
        [Point(length=1 + n % 3, hidden_size=2, seed=n // 3 * 3) for n in range(3 * sum(sizes))][::3]
    )
    shards = [Shard.of([next(points) for _ in range(size)], DEFAULT_PROBES) for size in sizes]
    luck = Luck(shapes=spread, runs=spread, start_up=0.5, stragglers=stragglers, deaths=deaths, seed=seed)
    served = Served(dispatch=1e-3, asked=1e-4, receipt=2e-3, row=1e-3, latency=1e-2)
    found = simulate(shards, workers, served, luck, planning=1.0)
    assert found.ended + found.failed == sum(sizes)
    assert accounted(found) == pytest.approx(workers * found.makespan)
    assert sum(found.losses.values()) + found.efficiency == pytest.approx(1)
    if not deaths:
        assert (found.lost, found.failed) == (0, 0)
    assert 0 < found.driver_share <= 1


def test_nobody_survives() -> None:
    found = simulate(equal(3, size=4), 2, Served(), Luck(deaths=1.0))
    assert (found.ended, found.failed) == (0, 12)
    assert found.busy == 0


def test_the_same_luck_gives_the_same_and_another_another() -> None:
    shards = equal(50)
    spans = [simulate(shards, 3, Served(), Luck(runs=0.5, seed=seed)).makespan for seed in (0, 0, 1)]
    assert spans[0] == spans[1] != spans[2]


def test_true_seconds_have_the_spread_that_was_asked_for() -> None:
    shards = equal(4000)
    busy = simulate(shards, 5, Served(), Luck(runs=0.4)).busy / sum(shard.seconds for shard in shards)
    assert busy == pytest.approx(math.exp(0.4**2 / 2), rel=0.03)  # the mean of a log-normal
    slow = simulate(shards, 5, Served(), Luck(stragglers=0.1, slower=11.0)).busy
    assert slow / sum(shard.seconds for shard in shards) == pytest.approx(2.0, rel=0.1)
