"""A peer in a process of its own, on our core and with one thread: thread pools of several libraries do not mix."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Any

from .base import Answer, Problem

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class PeerFailed(RuntimeError):
    """{name} failed: {message}: leave it out, or install the versions of benchmarks/peers/requirements.txt."""


class Worker:
    """One peer, alive between rounds: ``prepare`` a problem, then ``once`` a round. A context manager."""

    def __init__(self, name: str, core: int | None) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, name, core, ONE_THREAD), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, problem: Problem) -> Answer:
        """Hand over the arrays, run once (which compiles what is compiled), and give back the answer."""
        return self._ask(("prepare", problem))

    def once(self) -> float:
        """Do the prepared work once; the seconds that it took there."""
        return self._ask(("once", None))

    def _ask(self, request: tuple[str, object]) -> Any:
        try:
            self._pipe.send(request)
            kind, found = self._pipe.recv()
        except (EOFError, OSError) as lost:
            raise PeerFailed(
                f"{self.name} failed: its process ended ({type(lost).__name__}): "
                "leave it out, or install the versions of benchmarks/peers/requirements.txt"
            ) from lost
        if kind == "failed":
            raise PeerFailed(
                f"{self.name} failed: {found}: leave it out, or install the versions of "
                "benchmarks/peers/requirements.txt"
            )
        return found

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def serve(pipe: Any, name: str, core: int | None, environment: Mapping[str, str]) -> None:
    """Answer requests until the pipe is closed."""
    os.environ.update(environment)
    if core is not None:
        os.sched_setaffinity(0, {core})
    work = None
    while True:
        try:
            request, problem = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if request == "prepare":
                work, answer = import_module(f".{name}", __package__).prepare(problem)
                reply: Any = answer(work())
            else:
                began = time.perf_counter()
                work()  # type: ignore[misc]
                reply = time.perf_counter() - began
        except Exception as problem:  # whatever a library raises is told in a line
            pipe.send(("failed", f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"))
        else:
            pipe.send(("done", reply))
