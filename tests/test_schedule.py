"""The schedule: whatever is lost, late, delivered twice or out of order, every point ends exactly once."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longlag.service.schedule import PATIENCE, SLACK, Scheduler
from longlag.workers.points import Point
from longlag.workers.task import Shard


def shards(*sizes: int) -> list[Shard]:
    points = iter([Point(length=1, hidden_size=1, batch_size=1, seed=seed) for seed in range(sum(sizes))])
    return [Shard.of([next(points) for _ in range(size)], ("curves",)) for size in sizes]


def ids(found: list[Shard]) -> list[str]:
    return [shard.shard_id for shard in found]


def test_a_bounded_window_in_order() -> None:
    work = shards(1, 1, 1, 1)
    schedule = Scheduler(work, window=2)
    assert schedule.next(0) == work[:2]
    assert schedule.next(0) == []
    assert schedule.in_flight == tuple(ids(work[:2]))
    assert schedule.done(work[1].shard_id) == work[1]
    assert schedule.next(0) == [work[2]]
    for shard in (work[0], work[2]):
        schedule.done(shard.shard_id)
    assert not schedule.finished
    assert schedule.next(0) == [work[3]]
    schedule.done(work[3].shard_id)
    assert schedule.finished


def test_a_second_delivery_is_nobodys() -> None:
    work = shards(2)
    schedule = Scheduler(work, 1)
    schedule.next(0)
    assert schedule.done(work[0].shard_id) == work[0]
    assert schedule.done(work[0].shard_id) is None
    assert schedule.lost(work[0].shard_id) == {}
    assert schedule.done("never heard of") is None
    assert schedule.finished


def test_a_lost_shard_is_queued_again_in_front() -> None:
    work = shards(2, 2, 2)
    schedule = Scheduler(work, 1)
    schedule.next(0)
    assert schedule.lost(work[0].shard_id) == {}
    assert schedule.next(0) == [work[0]]


def test_a_late_delivery_of_a_lost_shard_counts() -> None:
    work = shards(2, 2)
    schedule = Scheduler(work, 1)
    schedule.next(0)
    schedule.lost(work[0].shard_id)
    assert schedule.done(work[0].shard_id) == work[0]
    assert schedule.next(0) == [work[1]]


def test_twice_lost_is_halved_until_the_point_is_alone() -> None:
    work = shards(4)
    culprit = work[0].points[2]
    schedule = Scheduler(work, 2)
    sizes, ended, failed = [], [], {}
    while not schedule.finished:
        for shard in schedule.next(0):
            sizes.append(len(shard.points))
            if culprit in shard.points:
                failed |= schedule.lost(shard.shard_id, "killed")
            else:
                ended += schedule.done(shard.shard_id).points  # type: ignore[union-attr]
    assert sizes == [4, 4, 2, 2, 1, 1, 1]
    assert sorted(p.seed for p in ended) == [0, 1, 3]
    assert failed == {culprit: "computed alone, twice: killed"}


def test_losses_in_a_row_are_counted() -> None:
    work = shards(1, 1, 1)
    schedule = Scheduler(work, 3)
    schedule.next(0)
    schedule.lost(work[0].shard_id)
    schedule.lost(work[1].shard_id)
    assert schedule.losses == 2
    schedule.done(work[2].shard_id)
    assert schedule.losses == 0


def test_overdue_only_when_others_come_back() -> None:
    work = shards(1, 1)
    late = PATIENCE + SLACK * 2 * sum(shard.seconds for shard in work) + 10
    schedule = Scheduler(work, 2)
    schedule.next(now=5)
    assert schedule.overdue(late) == []  # perhaps the cluster is busy with other people's work
    schedule.done(work[1].shard_id, now=20)
    assert schedule.overdue(21) == []
    assert schedule.overdue(late) == [work[0].shard_id]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["next", "done", "lost"]), st.floats(0, 400), st.integers(0, 9))))
def test_overdue_is_what_a_sum_over_everything_in_flight_says(
    events: list[tuple[str, float, int]],
) -> None:
    """Deadlines kept up to date against the plain rule: all seconds in flight at the submission, added up anew."""
    schedule = Scheduler(shards(1, 5, 2, 9, 1, 3, 2, 7), window=4)
    seconds: dict[str, float] = {}
    flight: dict[str, tuple[float, float]] = {}
    now = delivered = 0.0
    for kind, passed, which in events:
        now += passed
        if kind == "next":
            for shard in schedule.next(now):
                seconds[shard.shard_id] = shard.seconds
                flight[shard.shard_id] = (now, 0.0)
                work = sum(seconds[shard_id] for shard_id in flight)
                flight[shard.shard_id] = (now, now + PATIENCE + SLACK * work)
        elif flight:
            shard_id = [*flight][which % len(flight)]
            del flight[shard_id]
            if kind == "done":
                schedule.done(shard_id, now)
                delivered = now
            else:
                schedule.lost(shard_id)
        assert tuple(flight) == schedule.in_flight
        for later in (now, now + 100, now + 200, now + 1000):
            late = [i for i, (sent, deadline) in flight.items() if later > deadline and delivered > sent]
            assert schedule.overdue(later) == late


EVENTS = st.lists(
    st.tuples(st.sampled_from(["done", "lost", "twice", "stale"]), st.integers(0, 9)), max_size=120
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 4), EVENTS)
def test_every_point_ends_exactly_once(sizes: list[int], window: int, events: list[tuple[str, int]]) -> None:
    work = shards(*sizes)
    every = [point for shard in work for point in shard.points]
    schedule = Scheduler(work, window)
    ended: Counter[Point] = Counter()
    seen: list[str] = []

    def finish(shard_id: str) -> None:
        if shard := schedule.done(shard_id):
            ended.update(shard.points)

    for step in range(len(events) + 400):
        seen += ids(schedule.next(step))
        flying = schedule.in_flight
        assert len(flying) <= window
        if schedule.finished:
            break
        assert flying, "nothing in flight, though points are left"
        kind, which = events[step] if step < len(events) else ("done", 0)
        shard_id = flying[which % len(flying)]
        if kind == "lost":
            ended.update(list(schedule.lost(shard_id)))
        elif kind == "stale":  # of any shard that ever was
            finish(seen[which % len(seen)])
        else:
            finish(shard_id)
            if kind == "twice":
                finish(shard_id)
                ended.update(list(schedule.lost(shard_id)))
    assert schedule.finished
    assert ended == Counter(every)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_nobody_survives(size: int, window: int) -> None:
    """Every worker dies: every point has failed in the end, after a bounded number of attempts."""
    schedule = Scheduler(shards(size), window)
    failed: dict[Point, str] = {}
    attempts = 0
    while not schedule.finished:
        for shard in schedule.next(0):
            attempts += 1
            failed |= schedule.lost(shard.shard_id)
    assert len(failed) == size
    assert attempts <= 2 + 3 * size
