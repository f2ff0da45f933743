"""Executors: one contract, held by the inline one and by Ray; and what Ray adds: deaths, addresses, clusters."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from longlag.service.errors import ClusterUnavailable, StoreUnavailable
from longlag.service.executors import Executor, Outcome, make_executor, own_ray
from longlag.service.executors.base import Compute
from longlag.service.executors.inline import InlineExecutor
from longlag.service.executors.ray import RayExecutor
from longlag.service.settings import Settings
from longlag.service.store import Store
from longlag.workers import records
from longlag.workers.points import Point
from longlag.workers.task import Receipt, Shard, run_shard

Make = Callable[[Compute], Executor]


def shards(count: int, size: int = 2, length: int = 4) -> list[Shard]:
    seeds = iter(range(1000))
    return [
        Shard.of([Point(length=length, hidden_size=4, seed=next(seeds)) for _ in range(size)], ("curves",))
        for _ in range(count)
    ]


def gather(executor: Executor, count: int, seconds: float = 60.0) -> dict[str, Outcome]:
    """So many outcomes, by shard."""
    found: dict[str, Outcome] = {}
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        for outcome in executor.wait(0.5):
            assert outcome.shard_id not in found, "a shard came back twice"
            found[outcome.shard_id] = outcome
    assert len(found) == count
    return found


@pytest.fixture(scope="module")
def started_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayExecutor]:
    """A Ray of two workers for all tests of this file; it takes seconds to start."""
    settings = Settings.read(data=tmp_path_factory.mktemp("ray"), ray="local", workers=2)
    Store(settings.root).create()
    with RayExecutor(settings) as executor:
        yield executor


@pytest.fixture(params=["inline", pytest.param("ray", marks=pytest.mark.integration)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a started executor that computes as it is told."""
    if request.param == "ray":
        ray = request.getfixturevalue("started_ray")

        def give_ray(compute: Compute) -> Executor:
            ray.compute = compute
            return ray

        yield give_ray
        assert ray.wait(0.0) == [], "a test left something behind"
        return
    Store(tmp_path).create()
    inline = InlineExecutor(str(tmp_path))
    inline.start()

    def give_inline(compute: Compute) -> Executor:
        inline.compute = compute
        return inline

    yield give_inline
    inline.stop()


class TestContract:
    def test_every_shard_comes_back_once_with_its_file(self, make: Make, tmp_path: Path) -> None:
        executor, work = make(run_shard), shards(5)
        for shard in work:
            executor.submit(shard)
        found = gather(executor, 5)
        assert executor.window >= 1
        for shard in work:
            outcome = found[shard.shard_id]
            assert outcome.error is None
            assert not outcome.lost
            receipt = outcome.receipt
            assert isinstance(receipt, Receipt)
            assert (receipt.shard_id, receipt.file, receipt.rows) == (shard.shard_id, shard.file, 2)
        assert executor.wait(0.0) == []

    def test_waiting_for_nothing_is_short(self, make: Make) -> None:
        began = time.monotonic()
        assert make(run_shard).wait(5.0) == []
        assert time.monotonic() - began < 1

    def test_a_cancelled_shard_has_no_outcome(self, make: Make) -> None:
        executor, (first, second) = make(run_shard), shards(2)
        executor.submit(first)
        executor.submit(second)
        executor.cancel(second.shard_id)
        executor.cancel("never heard of")
        assert set(gather(executor, 1)) == {first.shard_id}
        assert executor.wait(1.0) == []

    def test_a_full_disk_is_an_error_that_says_so(self, make: Make) -> None:
        def full(shard: Shard, store: str) -> Receipt:
            raise OSError(errno.ENOSPC, "No space left on device", store)

        executor, work = make(full), shards(1)
        executor.submit(work[0])
        outcome = gather(executor, 1)[work[0].shard_id]
        assert not outcome.lost
        assert "the disk is full; free some space" in str(outcome.error)

    def test_an_error_of_ours_keeps_its_words(self, make: Make) -> None:
        def refuse(shard: Shard, store: str) -> Receipt:
            raise StoreUnavailable("no store here: give another")

        executor, work = make(refuse), shards(1)
        executor.submit(work[0])
        outcome = gather(executor, 1)[work[0].shard_id]
        assert (outcome.error, outcome.lost) == ("no store here: give another", False)

    def test_a_mistake_is_an_error_with_its_class(self, make: Make) -> None:
        def slip(shard: Shard, store: str) -> Receipt:
            raise KeyError("what")

        executor, work = make(slip), shards(1)
        executor.submit(work[0])
        outcome = gather(executor, 1)[work[0].shard_id]
        assert (outcome.error, outcome.lost) == ("KeyError: 'what'", False)

    def test_too_little_memory_loses_the_worker(self, make: Make) -> None:
        def hungry(shard: Shard, store: str) -> Receipt:
            raise MemoryError

        executor, work = make(hungry), shards(1)
        executor.submit(work[0])
        outcome = gather(executor, 1)[work[0].shard_id]
        assert outcome.lost
        assert "MemoryError" in str(outcome.error)

    def test_matrix_products_have_one_thread(self, make: Make, tmp_path: Path) -> None:
        def threads(shard: Shard, store: str) -> Receipt:
            from threadpoolctl import threadpool_info

            most = max(pool["num_threads"] for pool in threadpool_info())
            return Receipt(shard.shard_id, None, 0, 0, "", {"threads": most})

        executor, work = make(threads), shards(1)
        executor.submit(work[0])
        receipt = gather(executor, 1)[work[0].shard_id].receipt
        assert receipt is not None
        assert receipt.counts == {"threads": 1}


def test_settings_name_the_executor(tmp_path: Path) -> None:
    local = Settings.read(data=tmp_path, ray="local")
    assert isinstance(make_executor(local), RayExecutor)
    assert isinstance(make_executor(local, inline=True), InlineExecutor)
    assert isinstance(make_executor(Settings.read(data=tmp_path, ray="inline")), InlineExecutor)


def test_nothing_imports_ray_but_its_executor() -> None:
    code = "import sys, longlag.service.client, longlag.service.executors; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- Ray


@pytest.mark.integration
def test_rows_are_those_of_the_inline_executor(started_ray: RayExecutor, tmp_path: Path) -> None:
    work = Shard.of(
        [Point(cell="lstm", length=20, hidden_size=8, seed=s) for s in range(5)], ("curves", "gradients")
    )
    started_ray.compute = run_shard
    started_ray.submit(work)
    receipt = gather(started_ray, 1)[work.shard_id].receipt
    assert receipt is not None
    assert receipt.pid != os.getpid()
    Store(tmp_path).create()
    here = run_shard(work, str(tmp_path))
    assert receipt.file is not None
    assert here.file is not None
    there = records.read(started_ray.store.path(receipt.file)).drop_columns(["seconds"])
    assert records.read(tmp_path / here.file).drop_columns(["seconds"]).equals(there)


@pytest.mark.integration
def test_a_local_ray_has_only_what_shards_need_and_leaves_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose every descendant is Ray's."""
    Store(tmp_path).create()
    code = (
        "import json, psutil, sys\n"
        "from longlag.service.executors.ray import RayExecutor\n"
        "from longlag.service.settings import Settings\n"
        "with RayExecutor(Settings.read(data=sys.argv[1], ray='local', workers=1)):\n"
        "    below = psutil.Process().children(recursive=True)\n"
        "    print(json.dumps([[one.pid, one.create_time(), ' '.join(one.cmdline())] for one in below]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stderr == ""
    below = json.loads(done.stdout)
    commands = " ".join(command for _, _, command in below)
    assert "raylet" in commands
    assert "gcs_server" in commands
    for spare in ("dashboard.py", "monitor.py"):
        assert spare not in commands
    deadline = time.monotonic() + 20
    for pid, born, command in below:
        while _is_the_one(pid, born):
            assert time.monotonic() < deadline, f"still there: {command}"
            time.sleep(0.05)


def test_another_version_of_ray_starts_and_ends_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the private modules, and with a node that can do no more than what Ray itself asks of it."""
    asked: list[dict[str, bool]] = []

    class Node:
        def kill_all_processes(self, **how: bool) -> None:
            asked.append(how)

    node = Node()
    usual: Any = SimpleNamespace(
        shutdown=lambda: node.kill_all_processes(check_alive=False, allow_graceful=True)
    )
    for found in (None, SimpleNamespace(_global_node=node)):
        monkeypatch.setattr(own_ray, "_private", lambda name, found=found: found)
        with own_ray.lean():
            pass
        own_ray.shut_down(usual)
    assert asked == [{"check_alive": False, "allow_graceful": True}] * 2


def _is_the_one(pid: int, born: float) -> bool:
    """Whether the process of this number is alive and no later one."""
    try:
        one = psutil.Process(pid)
        return one.create_time() == born and one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.integration
def test_a_dead_worker_loses_its_shard_and_no_other(started_ray: RayExecutor) -> None:
    work = shards(4)
    culprit = work[1].shard_id

    def deadly(shard: Shard, store: str) -> Receipt:
        if shard.shard_id == culprit:
            os.kill(os.getpid(), 9)
        return run_shard(shard, store)

    started_ray.compute = deadly
    for shard in work:
        started_ray.submit(shard)
    found = gather(started_ray, 4)
    assert {shard_id for shard_id, outcome in found.items() if outcome.lost} == {culprit}
    assert "died" in str(found[culprit].error)
    assert all(found[s.shard_id].receipt for s in work if s.shard_id != culprit)
    started_ray.compute = run_shard
    started_ray.submit(work[1])
    assert gather(started_ray, 1)[culprit].receipt


@pytest.mark.integration
def test_a_running_shard_can_be_given_up(started_ray: RayExecutor, tmp_path: Path) -> None:
    begun = str(tmp_path / "begun")

    def hang(shard: Shard, store: str) -> Receipt:
        Path(begun).touch()
        time.sleep(600)
        raise AssertionError

    (work,) = shards(1)
    started_ray.compute = hang
    started_ray.submit(work)
    while not Path(begun).exists():
        time.sleep(0.05)
    started_ray.cancel(work.shard_id)
    assert started_ray.wait(0.5) == []
    started_ray.compute = run_shard
    started_ray.submit(work)
    assert gather(started_ray, 1)[work.shard_id].receipt


def refusal(data: Path, ray: str, **variables: str) -> tuple[str, float]:
    """What a process that starts an executor says, and how many seconds it took; it must not be killed for it."""
    code = (
        "import sys, time\n"
        "from longlag.service.executors.ray import RayExecutor\n"
        "from longlag.service.settings import Settings\n"
        "from longlag.service.errors import LonglagError\n"
        "began = time.monotonic()\n"
        "try:\n    RayExecutor(Settings.read(data=sys.argv[1], ray=sys.argv[2])).start()\n"
        "except LonglagError as problem:\n    print(f'{type(problem).__name__}: {problem}')\n"
        "print(time.monotonic() - began)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data), ray],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
        check=True,
    )
    words, seconds = done.stdout.strip().splitlines()
    return words, float(seconds)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.integration
def test_a_dead_address_is_refused_in_seconds(tmp_path: Path) -> None:
    words, seconds = refusal(tmp_path, f"127.0.0.1:{free_port()}")
    assert words.startswith("ClusterUnavailable: nothing answers at 127.0.0.1:")
    assert "--ray local needs none" in words
    assert seconds < 5


@pytest.mark.integration
def test_no_cluster_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_found(address: str) -> str:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", none_found)
    with pytest.raises(ClusterUnavailable, match="no Ray cluster is known on this machine"):
        RayExecutor(Settings.read(data=tmp_path, ray="auto")).start()


@pytest.mark.integration
def test_what_is_not_ray_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longlag.service.executors.address.ANSWER_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        executor = RayExecutor(Settings.read(data=tmp_path, ray=f"127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(ClusterUnavailable, match="does not answer as a Ray head does"):
            executor.start()
