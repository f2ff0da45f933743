"""A shard is computed in stacks: whatever their size, every point once, in its place, with the same bits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from longlag.workers import cost, records, task
from longlag.workers.points import Point
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.task import Shard, compute, run_shard, stacks


@given(st.integers(1, 500), st.integers(1, 100))
def test_stacks_are_as_few_and_as_equal_as_may_be(count: int, most: int) -> None:
    parts = stacks(count, most)
    assert [place for part in parts for place in part] == list(range(count))
    assert len(parts) == -(-count // most)
    sizes = [len(part) for part in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


def rows(shard: Shard, folder: Path) -> list[dict]:
    """The rows of the shard's file, but for what a clock says."""
    (folder / "records").mkdir(parents=True)
    receipt = run_shard(shard, str(folder))
    assert receipt.rows == len(shard.points)
    return records.read(folder / shard.file).drop_columns("seconds").to_pylist()


@pytest.mark.parametrize("cell", ["simple", "lstm", "diagonal"])
def test_the_file_is_the_same_whatever_the_stack(cell: str, tmp_path: Path) -> None:
    points = [Point(cell=cell, length=20, hidden_size=12, batch_size=3, seed=seed) for seed in range(7)]
    found = [
        rows(Shard.of(points, DEFAULT_PROBES, stack=stack), tmp_path / str(stack)) for stack in (1, 3, 7)
    ]
    assert found[0] == found[1] == found[2]
    assert [row["seed"] for row in found[0]] == list(range(7))


def test_a_shard_has_the_stack_of_its_shape_where_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [Point(length=2, hidden_size=64, batch_size=64, seed=seed) for seed in range(10)]
    sizes = []
    run = task.run
    monkeypatch.setattr(task, "run", lambda tasks, *rest: sizes.append(len(tasks)) or run(tasks, *rest))
    shard = Shard.of(points, DEFAULT_PROBES)
    most = cost.stack_points(points[0])
    assert most < len(points)
    assert shard.stack == most
    parts, errors = compute(shard)
    assert not errors
    assert sum(sizes) == len(points)
    assert max(sizes) <= most
    assert sorted(place for part in parts for place in part.places) == list(range(len(points)))


def test_a_point_that_raises_takes_none_of_any_stack_along(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Point(length=2, hidden_size=2, seed=seed) for seed in range(11)]
    run = task.run

    def failing(tasks, *rest):
        if any(one.point.seed in (4, 9) for one in tasks):
            raise ValueError("no")
        return run(tasks, *rest)

    monkeypatch.setattr(task, "run", failing)
    parts, errors = compute(Shard.of(points, DEFAULT_PROBES, stack=4))
    assert errors == {4: "ValueError: no", 9: "ValueError: no"}
    assert sorted(p for part in parts for p in part.places) == [0, 1, 2, 3, 5, 6, 7, 8, 10]
