"""The Ray executor: shards fan out to worker processes, on this machine or over a cluster.

Ray is imported by ``own_ray`` alone, which sets its environment first: no usage reports, no environments of its own
under ``uv run``, quiet. Ray retries nothing: a lost shard comes back as lost, and the schedule decides.
"""

from __future__ import annotations

import importlib
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, TracebackType
from typing import Any, Self

from ...workers.points import KERNEL_VERSION
from ...workers.task import Shard, run_shard
from ..errors import ClusterUnavailable, StoreUnavailable, first_line
from ..settings import Settings
from ..store import Store
from .address import probe
from .base import ClusterLost, Compute, Outcome, raised
from .own_ray import lean, load, refresh_token, shut_down, temporary_folder
from .remote import run_there, sees, unseen

_OBJECTS = 100 * 2**20  # bytes of Ray's shared memory here: shards and receipts are small
_STEP = 64 * 2**20  # what a shard asks of a node's memory is rounded up to this, so that Ray sees few kinds
_SILENCE = 20.0  # seconds without an outcome before a cluster is asked whether it is still there
_QUESTION = (
    "import sys; from ray._raylet import GcsClient; nodes = GcsClient(address=sys.argv[1]).get_all_node_info(); "
    "sys.exit(not any(i.hex() == sys.argv[2] and node.state == 0 for i, node in nodes.items()))"
)
_NODE = 30.0  # seconds for a node to answer


class RayExecutor:
    """One Ray task a shard. ``settings.ray`` is local, auto or host:port; see ``Executor`` for the verbs.

    ``compute`` is what a worker does with a shard; tests give one that fails.
    """

    def __init__(self, settings: Settings, compute: Compute = run_shard) -> None:
        self._settings = settings
        self.compute = compute
        self.store = Store(settings.root)
        self._running: dict[Any, str] = {}
        self._word = ""
        self._task: Any = None
        self._most = 0
        self._own, self._heard = "", 0.0
        self._stops = ExitStack()
        self.slots = self.window = 1

    def start(self) -> None:
        """Start Ray here, or join the cluster and see that each of its nodes sees the store."""
        try:
            with _handlers_kept():
                self.slots = self._start_local() if self._settings.ray == "local" else self._join()
        except BaseException:
            self.stop()
            raise
        capped = self._settings.ray != "local" and self._settings.workers
        self.window = self.slots if capped else 2 * self.slots

    def _start_local(self) -> int:
        ray = load(private=self._stops)
        folder = temporary_folder()
        self._stops.callback(shutil.rmtree, folder, ignore_errors=True)
        with lean():
            self._init(
                ray,
                address="local",
                num_cpus=self._settings.slots,
                object_store_memory=_OBJECTS,
                include_dashboard=False,
                _temp_dir=folder,
            )
        return self._settings.slots

    def _join(self) -> int:
        ray = load()
        refresh_token()
        address = _address(self._settings.ray)
        probe(address)
        self._init(ray, address=address)
        self._own, self._heard = ray.get_runtime_context().get_node_id(), time.monotonic()
        self._word = self.store.nonce()
        self._stops.callback(self.store.drop_nonce, self._word)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if not nodes:
            raise ClusterUnavailable(
                f"the Ray cluster at {address} has no node with a CPU: start a worker node"
            )
        _check_nodes(ray, nodes, self.store, self._word)
        return self._settings.workers or int(sum(node["Resources"]["CPU"] for node in nodes))

    def _init(self, ray: ModuleType, **options: Any) -> None:
        if ray.is_initialized():
            raise ClusterUnavailable(
                "this process is connected to a Ray already: ray.shutdown() first, or ray='inline'"
            )
        self._stops.callback(shut_down, ray)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
        except Exception as problem:
            raise ClusterUnavailable(
                f"Ray ({self._settings.ray}) does not start: {first_line(problem)}; --ray inline does without"
            ) from None
        self._task = ray.remote(max_retries=0, num_cpus=1)(run_there)
        self._most = int(
            max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=0)
        )

    def submit(self, shard: Shard) -> None:
        """Send a shard to whichever node has a CPU and the memory free; a hungry one has a node for itself."""
        memory = min(-(-shard.memory // _STEP) * _STEP, self._most)
        reference = self._task.options(memory=memory, name="shard").remote(
            self.compute, shard, str(self.store.root), self._word
        )
        self._running[reference] = shard.shard_id

    def wait(self, timeout: float) -> list[Outcome]:
        """What has come back, at least one outcome unless ``timeout`` seconds have passed."""
        ray = load()
        if not self._running:
            return []
        references = list(self._running)
        ready, rest = ray.wait(references, num_returns=1, timeout=timeout, fetch_local=False)
        if ready and rest:
            ready += ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)[0]
        if ready:
            self._heard = time.monotonic()
        elif self._own and time.monotonic() - self._heard > _SILENCE:
            self._still_there()
        return [self._outcome(ray, reference, self._running.pop(reference)) for reference in ready]

    def _still_there(self) -> None:
        """After a silence: is the cluster the one that was joined? Ray does not notice a head that was restarted.

        Asked by another process: in this one Ray's own question (``ray.nodes``) aborts on such a head.
        """
        command = [sys.executable, "-P", "-c", _QUESTION, _address(self._settings.ray), self._own]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_NODE, cwd=tempfile.gettempdir())
            gone = done.returncode != 0
        except subprocess.TimeoutExpired:
            gone = True
        if gone:
            raise ClusterLost(
                f"the Ray cluster ({self._settings.ray}) has gone or was restarted: 'longlag resume' goes on"
            )
        self._heard = time.monotonic()

    def _outcome(self, ray: ModuleType, reference: Any, shard_id: str) -> Outcome:
        try:
            return Outcome(shard_id, ray.get(reference))
        except ray.exceptions.RayTaskError as problem:
            return raised(shard_id, problem.cause, str(self.store.root))
        except self._losses(ray) as problem:
            return Outcome(shard_id, error=_reason(ray, problem), lost=True)
        except ray.exceptions.RayError as problem:
            what = f"Ray ({self._settings.ray}) has gone ({type(problem).__name__})"
            raise ClusterLost(f"{what}: 'longlag resume' goes on") from None

    def _losses(self, ray: ModuleType) -> tuple[type[Exception], ...]:
        """What Ray raises where another worker may do better. With its only node Ray itself is gone."""
        names = ["WorkerCrashedError", "OutOfMemoryError", "TaskCancelledError", "ObjectLostError"]
        if self._settings.ray != "local":
            names += ["NodeDiedError", "TaskUnschedulableError"]
        return tuple(getattr(ray.exceptions, name) for name in names)

    def cancel(self, shard_id: str) -> None:
        """Kill the worker that computes a shard."""
        ray = load()
        for reference in [r for r, running in self._running.items() if running == shard_id]:
            del self._running[reference]
            ray.cancel(reference, force=True)

    def stop(self) -> None:
        """End Ray here, or leave the cluster; nothing of ours stays behind."""
        self._running.clear()
        self._task = None
        with _handlers_kept():
            self._stops.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _check_nodes(ray: ModuleType, nodes: list[dict[str, Any]], store: Store, word: str) -> None:
    """Every node must read the store's word, with the same kernel. Raises StoreUnavailable, ClusterUnavailable."""
    task = ray.remote(max_retries=0, num_cpus=0)(sees)
    asked = {}
    for node in nodes:
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[task.options(scheduling_strategy=there).remote(str(store.root), word)] = node
    _, late = ray.wait(list(asked), num_returns=len(asked), timeout=_NODE)
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    for reference, node in asked.items():
        host = node["NodeManagerHostname"]
        if reference in late and node["NodeID"] in alive:
            raise ClusterUnavailable(f"the node {host} gave no answer in {_NODE:.0f} s: is it still there?")
        if reference in late:  # it has left meanwhile: what it was asked does not matter any more
            continue
        try:
            seen, kernel = ray.get(reference)
        except Exception as problem:
            if node["NodeID"] not in alive:
                continue
            cause = getattr(problem, "cause", problem)
            raise ClusterUnavailable(
                f"the node {host} cannot run longlag: {first_line(cause)}; install the same version there"
            ) from None
        if not seen:
            raise StoreUnavailable(unseen(host, str(store.root)))
        if kernel != KERNEL_VERSION:
            raise ClusterUnavailable(
                f"the node {host} has kernel {kernel}, here it is {KERNEL_VERSION}: install the same longlag"
            )


def _reason(ray: ModuleType, problem: Exception) -> str:
    if isinstance(problem, ray.exceptions.OutOfMemoryError):
        return "its worker was killed because the machine's memory ran out"
    if isinstance(problem, ray.exceptions.WorkerCrashedError):
        return "its worker process died (killed, out of memory, or a crash in compiled code)"
    return f"its worker is gone ({type(problem).__name__})"


def _address(given: str) -> str:
    """host:port of the cluster's head."""
    if given != "auto":
        return given
    services: Any = importlib.import_module("ray._private.services")
    try:
        return services.canonicalize_bootstrap_address("auto")
    except ConnectionError:
        raise ClusterUnavailable(
            "no Ray cluster is known on this machine: 'ray start --address=HEAD:6379' joins one, --ray HOST:PORT "
            "names one, --ray local needs none"
        ) from None


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts a handler of its own on SIGTERM; the caller's is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
