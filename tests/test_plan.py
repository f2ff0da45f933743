"""Plans: every missing point in one shard, within the time and the memory of a worker, in few files."""

import heapq
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from longlag import Study, linspace
from longlag.service.plan import SERVED, TARGET, Plan, plan, target_of
from longlag.workers import cost
from longlag.workers.errors import TooLarge
from longlag.workers.probes import DEFAULT_PROBES, PROBES
from longlag.workers.task import Shard

GIB = 2**30


def nothing_there(_: str) -> tuple[str, ...]:
    return DEFAULT_PROBES


def large() -> Study:
    """About two minutes of work in many shapes."""
    return Study(
        "s",
        grids=[{"cell": ["simple", "lstm", "gru"]}, {"cell": "memory", "batch_size": [1, 8]}],
        length=[16, 100, 256, 1000],
        gamma=linspace(0.5, 1.0, 11),
        seed=range(12),
    )


def plan_of(study: Study, workers: int = 2, memory: int = GIB) -> Plan:
    return plan(study.points(), nothing_there, workers, memory)


def test_every_missing_point_is_in_one_shard() -> None:
    study = large()
    ids = [point.point_id for point in study.points()]
    there = set(ids[::3])
    work = plan(study.points(), lambda i: () if i in there else DEFAULT_PROBES, 2, GIB)
    planned = [point.point_id for shard in work.shards for point in shard.points]
    assert sorted(planned) == sorted(set(ids) - there)
    assert (work.points, work.present, work.missing) == (len(ids), len(there), len(planned))
    assert work.lacking == {DEFAULT_PROBES: len(planned)}


def test_a_shard_has_one_shape_and_one_set_of_probes() -> None:
    study = large()
    ids = [point.point_id for point in study.points()]
    some = dict(zip(ids[::2], [("gradients",)] * len(ids), strict=False))
    work = plan(study.points(), lambda i: some.get(i, DEFAULT_PROBES), 2, GIB)
    for shard in work.shards:
        assert len({point.shape for point in shard.points}) == 1
        assert {some.get(point.point_id, DEFAULT_PROBES) for point in shard.points} == {shard.probes}
    assert set(work.lacking) == {("gradients",), DEFAULT_PROBES}
    assert sum(work.lacking.values()) == work.missing == len(ids)


def test_a_shard_keeps_to_time_and_memory() -> None:
    work = plan_of(large())
    assert all(shard.memory <= GIB for shard in work.shards)
    assert all(shard.seconds <= 1.01 * TARGET or len(shard.points) == 1 for shard in work.shards)
    assert work.memory == max(shard.memory for shard in work.shards)
    tight = cost.base_memory() + 40 * 2**20
    small = Study("s", length=256, seed=range(50))
    assert all(shard.memory <= tight for shard in plan_of(small, memory=tight).shards)
    assert len(plan_of(small, memory=tight).shards) > len(plan_of(small, workers=1).shards)


def test_the_same_points_give_the_same_shards() -> None:
    study = Study("s", cell=["simple", "gru"], seed=range(30))
    assert plan_of(study) == plan_of(study)
    assert [s.shard_id for s in plan_of(study).shards] == [s.shard_id for s in plan_of(study).shards]


def test_the_longest_begin_and_short_ones_end() -> None:
    work = plan_of(large())
    seconds = [shard.seconds for shard in work.shards]
    assert seconds == sorted(seconds, reverse=True)
    assert max(seconds[-4:]) < TARGET / 3


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_all_workers_finish_together(workers: int) -> None:
    work = plan_of(large(), workers)
    ends = [0.0] * workers
    for shard in work.shards:
        heapq.heappush(ends, heapq.heappop(ends) + shard.seconds)
    assert max(ends) - min(ends) < TARGET / 3
    assert work.elapsed == pytest.approx(max(ends), rel=0.02)


@pytest.mark.parametrize("workers", [1, 10, 100, 1_000, 10_000])
def test_shards_are_longer_where_there_are_more_workers_and_work_for_them(workers: int) -> None:
    hour, plenty = 3600.0, 1e9 * workers
    assert target_of(hour / 1000, workers) == TARGET  # little work: as short as it gets
    assert target_of(plenty, workers) >= max(TARGET, SERVED * workers)  # else workers wait for the driver
    assert target_of(plenty, workers) == max(TARGET, target_of(plenty, 10 * workers) / 10)
    for work in (hour, 100 * hour):
        t = target_of(work, workers)
        assert t == TARGET or 5 * SERVED * workers >= t  # no longer than the driver needs
        alone = [s + SERVED * work / s for s in (t / 2, t, 2 * t)]  # one shard, and serving all of them
        assert t == TARGET or work / workers / t >= 5 or min(alone) == alone[1]


def test_a_plan_for_many_workers_has_fewer_and_longer_shards() -> None:
    study = Study(
        "s", length=1024, hidden_size=128, batch_size=64, gamma=linspace(0.5, 1, 51), seed=range(400)
    )
    few, many = (plan(study.parts(), DEFAULT_PROBES, workers, GIB) for workers in (2, 200))
    assert few.seconds == pytest.approx(many.seconds)
    assert few.shards[0].seconds <= TARGET < many.shards[0].seconds
    assert len(many.shards) < len(few.shards)
    short = [shard for shard in many.shards if shard.seconds < 0.3 * many.shards[0].seconds]
    assert 100 < len(short) < 2000, "the last ones are short, for every worker and not many more"


def test_many_trivial_points_are_few_files() -> None:
    trivial = Study(
        "s", length=1, hidden_size=1, input_size=1, output_size=1, batch_size=1, seed=range(30_000)
    )
    work = plan_of(trivial)
    assert len(work.shards) < 15
    assert sum(len(shard.points) for shard in work.shards) == 30_000


def test_nothing_is_missing() -> None:
    work = plan(Study("s", seed=range(3)).points(), lambda _: (), 2, GIB)
    assert (work.shards, work.points, work.present, work.missing) == ((), 3, 3, 0)
    assert (work.seconds, work.elapsed, work.memory) == (0, 0, 0)


def test_a_point_beyond_memory_is_refused_with_what_to_do() -> None:
    study = Study("s", length=3_000, hidden_size=1000, batch_size=64, loss_times="every")
    with pytest.raises(
        TooLarge, match=r"length=3000.* needs about .* GiB and a worker may use 1\.00 GiB.*--memory"
    ):
        plan_of(study)
    with pytest.raises(TooLarge) as caught:
        plan_of(study)
    enough = float(str(caught.value).split(" to ")[-1].removesuffix("GiB"))
    assert len(plan_of(study, memory=int(enough * GIB)).shards) == 1
    assert isinstance(caught.value, MemoryError)


def test_a_long_tape_gets_checkpoints_where_it_would_not_fit_whole() -> None:
    study = Study("s", length=100_000, hidden_size=64, seed=range(2))
    (shard, other) = plan_of(study).shards
    assert shard.checkpoints
    assert other.checkpoints
    assert shard.memory <= GIB
    assert not plan_of(study, memory=16 * GIB).shards[0].checkpoints


def test_estimates_are_sums_over_shards() -> None:
    work = plan_of(large())
    again = [Shard.of(shard.points, shard.probes, stack=shard.stack) for shard in work.shards]
    assert work.seconds == pytest.approx(sum(shard.seconds for shard in again))
    assert tuple(again) == work.shards


def peak_of(shards: Sequence[Shard], store: Path) -> int:
    """Bytes of resident memory at the peak of a new process that computes these shards and writes their files."""
    (store / "records").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(store)], input=pickle.dumps(list(shards)), capture_output=True
    )
    assert not done.returncode, done.stderr.decode()
    return int(done.stdout)


# VmHWM is this program's own; ru_maxrss begins with that of the process that started it
WORKER = """
import pickle, re, sys
from longlag.workers.task import run_shard
for shard in pickle.load(sys.stdin.buffer):
    assert not run_shard(shard, sys.argv[1]).errors
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]))
"""


@pytest.mark.parametrize(("probes", "shape", "memory"), [
    (DEFAULT_PROBES, dict(cell=["simple", "lstm", "diagonal"], length=[1, 64, 1000], batch_size=[1, 64]), 320),
    (DEFAULT_PROBES, dict(cell=["gru", "memory"], length=4096, hidden_size=[8, 64]), 400),
    (DEFAULT_PROBES, dict(cell=["lstm", "residual"], length=48, batch_size=300, loss_times=["last", "16"]), 512),
    (("curves", "all_pairs"), dict(cell=["simple", "mingru"], length=[20, 150], loss_times=["2", "every"]), 400),
    (tuple(PROBES), dict(cell=["simple", "gru"], length=[1, 60], hidden_size=16, batch_size=[1, 8]), 300),
], ids=["lengths", "long", "wide", "pairs", "every-probe"])  # fmt: skip
def test_the_hungriest_shards_of_a_plan_stay_within_a_worker(
    probes: tuple[str, ...], shape: dict, memory: int, tmp_path: Path
) -> None:
    study = Study("s", **shape, seed=range(8))
    work = plan(study.points(), lambda _: probes, 2, memory << 20)
    hungriest = sorted(work.shards, key=lambda shard: shard.memory)[-3:]
    assert work.memory == hungriest[-1].memory <= memory << 20
    assert peak_of(hungriest, tmp_path) <= work.memory
