"""The driver: the whole road, and what becomes of it when drivers, workers or everything are killed on the way."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest
from longlag import Study
from longlag.service import driver
from longlag.service.client import Client
from longlag.service.driver import DriveFailed, Progress, drive
from longlag.service.errors import JobConflict, StoreUnavailable
from longlag.service.executors import ClusterLost, Executor, Outcome
from longlag.service.executors.inline import InlineExecutor
from longlag.service.index import Delivery, Index
from longlag.service.jobs import JobRecord, Jobs
from longlag.service.lease import Lease, LeaseLost, is_dead
from longlag.service.settings import Settings
from longlag.service.store import Store
from longlag.workers.task import Receipt, Shard, run_shard


def study(**changes: object) -> Study:
    """Small, but of many shapes, so that it has many shards."""
    return Study(
        "s",
        **{"cell": ["simple", "gru"], "length": range(20, 32), "hidden_size": 6, "seed": range(3), **changes},
    )


def rows(client: Client, name: str = "s") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everything that is equal when the same points are computed again: runs and curves by point."""
    runs = client.runs(name).drop(columns="seconds").set_index("point_id").sort_index()
    curves = client.curves(name).sort_values(["point_id", "kind", "lag"], ignore_index=True)
    return runs, curves


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    client = Client(tmp_path_factory.mktemp("undisturbed"), ray="inline")
    client.run(study(), quiet)
    return rows(client)


def quiet(_: Progress) -> None:
    pass


def assert_equal(
    found: tuple[pd.DataFrame, pd.DataFrame], expected: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read(data=tmp_path / "store", ray="inline")


@pytest.fixture
def index(settings: Settings) -> Iterator[Index]:
    Store(settings.root).create()
    with closing(Index.open(settings.database)) as index:
        yield index


def new_job(index: Index, one: Study) -> JobRecord:
    info = index.add_revision(one)
    return Jobs(index).create(one.name, info.id, info.size)[0]


# ---- the road


def test_the_whole_road(settings: Settings, index: Index) -> None:
    seen: list[Progress] = []
    job = drive(new_job(index, study()).id, settings, seen.append)
    assert (job.state, job.total, job.done, job.counts) == ("done", 72, 72, {"ok": 72})
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[0].done, seen[-1].done, seen[-1].total, seen[-1].counts) == (0, 72, 72, {"ok": 72})
    assert seen[-1].rate
    assert seen[-1].left == pytest.approx(0, abs=1e-6)
    assert len(Store(settings.root).files()) == 24


def test_a_second_run_computes_nothing_and_starts_nothing(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(new_job(index, study()).id, settings)
    monkeypatch.setattr(driver, "make_executor", None)
    monkeypatch.setattr(Study, "parts", None)  # a finished revision is not even expanded
    job = drive(new_job(index, study()).id, settings)
    assert (job.state, job.done, job.counts) == ("done", 72, {"ok": 72})


class Slow(InlineExecutor):
    """Starts for a while, and says what happens to it."""

    def __init__(self, data: str, said: list[str], problem: Exception | None = None) -> None:
        super().__init__(data)
        self.said, self.problem = said, problem

    def start(self) -> None:
        self.said.append("starting")
        time.sleep(0.4)
        self.said.append("started")
        if self.problem:
            raise self.problem

    def stop(self) -> None:
        self.said.append("stopped")
        super().stop()


def test_workers_start_while_many_points_are_planned(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    real = driver.plan

    def planned(*given: object) -> object:
        time.sleep(0.2)
        said.append("planned")
        return real(*given)  # pyright: ignore[reportArgumentType]

    elsewhere = settings.model_copy(update={"ray": "local"})
    monkeypatch.setattr(driver, "_MANY", 70)
    monkeypatch.setattr(driver, "plan", planned)
    monkeypatch.setattr(driver, "make_executor", lambda _, inline=False: Slow(settings.data, said))
    assert drive(new_job(index, study()).id, elsewhere).state == "done"
    assert said == ["starting", "planned", "started", "stopped"]
    few, said[:] = study(length=[20, 33]), []
    assert drive(new_job(index, few).id, elsewhere).state == "done"
    assert said == ["planned", "starting", "started", "stopped"], "a few points: the start is behind the plan"


@pytest.mark.parametrize("at", ["plan", "start"])
def test_a_failure_beside_the_start_leaves_nothing_behind(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    said, problem = [], DriveFailed("no")
    elsewhere = settings.model_copy(update={"ray": "local"})
    slow = Slow(settings.data, said, problem if at == "start" else None)

    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr(driver, "_MANY", 70)
    monkeypatch.setattr(driver, "make_executor", lambda _, inline=False: slow)
    if at == "plan":
        monkeypatch.setattr(driver, "plan", fail)
    job = new_job(index, study())
    with pytest.raises(DriveFailed, match="no"):
        drive(job.id, elsewhere)
    assert said == ["starting", "started", "stopped"]
    assert Jobs(index).get(job.id).state == "failed"


def test_a_changed_grid_computes_the_new_points_only(settings: Settings, index: Index) -> None:
    drive(new_job(index, study(length=range(20, 31))).id, settings)
    before = Store(settings.root).files()
    seen: list[Progress] = []
    drive(new_job(index, study()).id, settings, seen.append)
    assert (seen[0].done, seen[-1].done) == (66, 72)
    assert len(Store(settings.root).files() - before) == 2


def test_a_probe_asked_for_later_is_joined(settings: Settings, index: Index) -> None:
    few = Study("s", probes=["curves"], length=8, hidden_size=4, seed=range(4))
    drive(new_job(index, few).id, settings)
    assert index.runs("s")["saturation"].isna().all()
    more = Study("s", length=8, hidden_size=4, seed=range(4))
    job = drive(new_job(index, more).id, settings)
    assert (job.done, job.counts) == (4, {"ok": 4})
    runs = index.runs("s")
    assert len(runs) == 4
    assert not runs[["saturation", "horizon_10", "ln_grad_norm_U"]].isna().any(axis=None)


def faulty(monkeypatch: pytest.MonkeyPatch, compute: object) -> None:
    """Make drivers compute with another function, in this process."""

    def make(settings: Settings, inline: bool = False) -> Executor:
        return InlineExecutor(settings.data, compute)  # type: ignore[arg-type]

    monkeypatch.setattr(driver, "make_executor", make)


def test_a_failing_point_is_recorded_and_tried_again(
    settings: Settings,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    from longlag.workers import task

    run = task.run

    def fail_at_seed_1(tasks: list, *how: object) -> object:  # type: ignore[type-arg]
        if any(t.point.seed == 1 and t.point.cell == "gru" for t in tasks):
            raise FloatingPointError("a point that fails")
        return run(tasks, *how)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(task, "run", fail_at_seed_1)
        job = drive(new_job(index, study()).id, settings)
    assert (job.state, job.counts) == ("done", {"ok": 60, "error": 12})
    failed = index.runs("s", where={"status": "error"})
    assert set(failed["status_detail"]) == {"FloatingPointError: a point that fails"}
    assert set(failed["cell"]) == {"gru"}
    job = drive(new_job(index, study()).id, settings)
    assert (job.state, job.counts) == ("done", {"ok": 72})
    assert_equal(rows(Client(settings.data)), undisturbed)


def test_a_point_that_kills_its_worker_ends_as_error(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(shard: Shard, store: str) -> Receipt:
        if any(p.seed == 5 for p in shard.points):
            raise MemoryError
        return run_shard(shard, store)

    faulty(monkeypatch, hungry)
    job = drive(new_job(index, Study("s", length=5, hidden_size=4, seed=range(8))).id, settings)
    assert (job.state, job.counts) == ("done", {"ok": 7, "error": 1})
    failed = index.runs("s", where={"status": "error"})
    assert failed["seed"].tolist() == [5]
    assert failed["status_detail"].tolist() == ["computed alone, twice: its worker was stopped: MemoryError"]


def test_workers_that_all_die_end_the_job_not_the_points(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(shard: Shard, store: str) -> Receipt:
        raise MemoryError

    faulty(monkeypatch, hungry)
    job = new_job(index, study())
    with pytest.raises(DriveFailed, match="21 workers in a row were lost, so it is not the points' fault"):
        drive(job.id, settings)
    assert Jobs(index).get(job.id).state == "failed"


@pytest.mark.parametrize(("lost", "state"), [(1, "done"), (2, "done"), (3, "failed")])
def test_a_ray_of_our_own_is_started_again(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch, lost: int, state: str
) -> None:
    local = Settings.read(data=settings.data, ray="local")
    starts: list[int] = []

    class Fragile(InlineExecutor):
        def wait(self, timeout: float) -> list[Outcome]:
            if len(starts) <= lost and len(Store(local.root).files()) >= 3 * len(starts):
                raise ClusterLost("Ray (local) has gone")
            return super().wait(timeout)

    def make(settings: Settings, inline: bool = False) -> Executor:
        starts.append(len(starts))
        return Fragile(settings.data)

    monkeypatch.setattr(driver, "make_executor", make)
    job = new_job(index, study())
    if state == "failed":
        with pytest.raises(ClusterLost):
            drive(job.id, local)
    else:
        drive(job.id, local)
    record = Jobs(index).get(job.id)
    assert (record.state, len(starts)) == (state, min(lost + 1, 3))
    assert record.done == (72 if state == "done" else 27)


def test_a_full_disk_fails_the_job_with_what_to_do(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(shard: Shard, store: str) -> Receipt:
        raise OSError(28, "No space left on device")

    faulty(monkeypatch, full)
    job = new_job(index, study())
    with pytest.raises(DriveFailed, match="the disk is full; free some space"):
        drive(job.id, settings)
    record = Jobs(index).get(job.id)
    assert record.state == "failed"
    assert "the disk is full" in str(record.message)


def test_a_file_that_vanishes_is_computed_again(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: set[str] = set()

    def lose(shard: Shard, store: str) -> Receipt:
        receipt = run_shard(shard, store)
        if not removed:
            removed.add(str(receipt.file))
            (Path(store) / str(receipt.file)).unlink()
        return receipt

    faulty(monkeypatch, lose)
    job = drive(new_job(index, study()).id, settings)
    assert (job.state, job.counts) == ("done", {"ok": 72})
    assert [finding for finding in index.check(Store(settings.root)) if finding.level == "error"] == []


class Together(InlineExecutor):
    """Gives everything that was sent at once, the first twice and the second as if its worker had died."""

    window = 100
    waves = 0

    def wait(self, timeout: float) -> list[Outcome]:
        outcomes = [self._run(self._queue.popleft()) for _ in range(len(self._queue))]
        self.waves += 1
        if self.waves > 1:
            return outcomes
        return [outcomes[0], outcomes[0], replace(outcomes[1], receipt=None, lost=True), *outcomes[2:]]


@pytest.mark.parametrize("most", [1, 4, 64])
def test_what_comes_back_together_is_committed_together(
    settings: Settings,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[pd.DataFrame, pd.DataFrame],
    most: int,
) -> None:
    sizes, original = list[int](), Index.commit

    def commit(self: Index, *deliveries: Delivery) -> int:
        sizes.append(len(deliveries))
        return original(self, *deliveries)

    monkeypatch.setattr(driver, "make_executor", lambda *_, **__: Together(str(settings.root)))
    monkeypatch.setattr(driver, "TOGETHER", most)
    monkeypatch.setattr(Index, "commit", commit)
    said = list[Progress]()
    job = drive(new_job(index, study()).id, settings, said.append)
    assert (job.state, job.counts) == ("done", {"ok": 72})
    assert sum(sizes) == 24  # a shard for each shape; what came twice is taken once
    assert max(sizes) == min(most, 23)
    assert sizes[-1] == 1  # the shard that was lost, the second time
    assert [p.done for p in said] == sorted(p.done for p in said)
    assert_equal(rows(Client(settings.root, ray="inline")), undisturbed)


def test_several_deliveries_are_all_taken_in_or_none(settings: Settings, index: Index) -> None:
    store = Store(settings.root)
    store.create()
    points = list(study().points())[:6]
    shards = [Shard.of([point], study().probes) for point in points]
    receipts = [run_shard(shard, str(store.root)) for shard in shards]
    tables = [store.scalars(str(receipt.file)) for receipt in receipts]
    broken = tables[-1].drop_columns(["point_id"])
    several = [(receipt, table, ()) for receipt, table in zip(receipts, tables, strict=True)]
    with pytest.raises(Exception, match="point_id"):
        index.commit(*several[:-1], (receipts[-1], broken, ()))
    assert len(Client(settings.root).sql("select * from measures")) == 0
    assert index.commit(*several) == 6
    assert index.commit(*several) == 0
    assert len(Client(settings.root).sql("select * from measures")) == 6


# ---- whose job it is


def test_a_job_has_one_driver(settings: Settings, index: Index) -> None:
    job = new_job(index, study())
    with (
        Lease(Jobs(index), job.id),
        pytest.raises(JobConflict, match=f"job {job.id} of study 's' is running by"),
    ):
        drive(job.id, settings)
    drive(job.id, settings)
    with pytest.raises(JobConflict, match="is done: 'longlag run' or 'resume' begins another"):
        drive(job.id, settings)


def test_a_lost_lease_stops_the_driver_at_once(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(index, study())
    computed: list[str] = []

    def usurp(shard: Shard, store: str) -> Receipt:
        computed.append(shard.shard_id)
        if len(computed) == 3:
            owner = Jobs(index).get(job.id).owner
            assert Jobs(index).release(job.id, str(owner))
            assert Jobs(index).claim(job.id, "another")
            time.sleep(3)  # so long that the lease is found to be lost
        return run_shard(shard, store)

    faulty(monkeypatch, usurp)
    with pytest.raises(LeaseLost, match="is not this process's any more"):
        drive(job.id, settings)
    record = Jobs(index).get(job.id)
    assert (len(computed), record.owner, record.state) == (3, "another", "running")
    assert len(index.runs("s")) == 6  # the third was not committed


def test_cancelling_stops_the_driver(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(index, study())

    def slow(shard: Shard, store: str) -> Receipt:
        Jobs(index).cancel(job.id)
        time.sleep(0.5)
        return run_shard(shard, store)

    faulty(monkeypatch, slow)
    record = drive(job.id, settings)
    assert record.state == "cancelled"
    assert 0 < record.done < 72
    assert len(index.runs("s")) == record.done


def test_an_interrupt_lets_go_of_the_job(
    settings: Settings, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(index, study())

    def interrupt(shard: Shard, store: str) -> Receipt:
        raise KeyboardInterrupt

    faulty(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        drive(job.id, settings)
    assert Jobs(index).get(job.id).state == "interrupted"
    monkeypatch.undo()
    assert drive(job.id, settings).state == "done"


def test_a_store_that_cannot_be_written_fails_the_job(settings: Settings, index: Index) -> None:
    job = new_job(index, study())
    records = Store(settings.root).records
    records.rmdir()
    records.write_text("a file is where a folder must be")
    with pytest.raises(StoreUnavailable, match="a file is where a folder must be"):
        drive(job.id, settings)
    assert Jobs(index).get(job.id).state == "failed"


# ---- kills

RUN = (
    "import sys\n"
    "from longlag import Study\n"
    "from longlag.service import driver\n"
    "from longlag.service.client import Client\n"
    "driver.INLINE_SECONDS = 0\n"
    "client = Client(sys.argv[1], ray=sys.argv[2], workers=2)\n"
    "client.run(Study.from_file(sys.argv[3]), lambda p: print(p.done, flush=True))\n"
)


def start(data: Path, ray: str, one: Study) -> "subprocess.Popen[str]":
    path = data.parent / "study.toml"
    one.to_file(path)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(data), ray, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd="/",
    )


def read_until_first_commit(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) > 0:
            return
    pytest.fail("it ended before it had committed anything")


@pytest.mark.integration
def test_drivers_killed_at_random_moments(
    tmp_path: Path, undisturbed: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    data, dice = tmp_path / "store", random.Random(2)
    kills, deadline = 0, time.monotonic() + 60
    while kills < 6 and time.monotonic() < deadline:
        process = start(data, "inline", study())
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        time.sleep(dice.random() * 0.25)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert kills
    client = Client(data, ray="inline")
    assert client.jobs()[0].state in ("running", "done")
    began = time.monotonic()
    job = client.run(study(), quiet)
    assert time.monotonic() - began < 15, "the lease of a dead driver of this machine is not waited for"
    assert job.record.counts == {"ok": 72}
    assert_equal(rows(client), undisturbed)
    assert client.check() == []


@pytest.mark.integration
def test_two_runs_at_once(tmp_path: Path, undisturbed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """One of them drives, the other waits for it; both succeed, and nothing is computed twice."""
    data = tmp_path / "store"
    both = [start(data, "inline", study()) for _ in range(2)]
    for process in both:
        process.communicate(timeout=120)
    assert [process.returncode for process in both] == [0, 0]
    client = Client(data, ray="inline")
    assert_equal(rows(client), undisturbed)
    assert len(client.store.files()) == 24


def long_study() -> Study:
    """Some seconds of work."""
    return Study("s", cell=["simple", "gru"], length=range(300, 1100, 50), hidden_size=24, seed=range(3))


def endless_study() -> Study:
    """More work than a test waits for, on any machine."""
    return Study("s", cell=["simple", "gru"], length=range(2000, 6000, 50), hidden_size=24, seed=range(9))


def descendants(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def workers(found: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in found if p.is_running() and p.name().startswith("ray::shard")]


@pytest.mark.integration
def test_workers_and_everything_killed_under_ray(tmp_path: Path) -> None:
    expected = Client(tmp_path / "undisturbed", ray="inline")
    expected.run(long_study(), quiet)
    data = tmp_path / "store"
    process = start(data, "local", long_study())
    read_until_first_commit(process)
    victims = []  # a worker has the name of its task while it has one
    while not victims and process.poll() is None:
        victims = workers(descendants(process))
    for victim in victims[:1]:
        victim.kill()
    read_until_first_commit(process)
    everything = descendants(process)
    for victim in random.Random(3).sample(everything, len(everything)):
        victim.kill()
    process.kill()
    process.communicate()
    assert victims
    client = Client(data, ray="inline")
    assert 0 < len(client.runs("s")) < long_study().size
    job = client.run(long_study(), quiet)
    assert job.record.counts == expected.jobs()[0].counts
    assert_equal(rows(client), rows(expected))
    assert client.check() == []


@pytest.mark.integration
def test_ray_ends_with_its_driver(tmp_path: Path) -> None:
    """Ctrl-C: stopped within seconds, the job let go of, and nothing of Ray left."""
    process = start(tmp_path / "store", "local", endless_study())
    read_until_first_commit(process)
    everything = descendants(process)
    shared = set(Path("/dev/shm").iterdir())
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert psutil.wait_procs(everything, timeout=10)[1] == []
    assert set(Path("/dev/shm").iterdir()) <= shared
    assert not list(Path("/tmp").glob(f"longlag-ray-{process.pid}-*"))
    record = Client(tmp_path / "store").jobs()[0]
    assert (record.state, record.owner) == ("interrupted", None)


def test_a_dead_driver_is_recognised(settings: Settings, index: Index) -> None:
    job = new_job(index, study())
    with Lease(Jobs(index), job.id):
        held = Jobs(index).get(job.id)
        assert not is_dead(held)
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        fields = {**held.__dict__, "owner": str(held.owner).replace(f":{os.getpid()}:", f":{process.pid}:")}
        assert is_dead(JobRecord(**fields))
        assert not is_dead(JobRecord(**{**fields, "owner": f"elsewhere:0:{process.pid}:abc"}))
        assert not is_dead(JobRecord(**{**fields, "owner": None}))
