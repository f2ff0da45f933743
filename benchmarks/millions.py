"""Many trivial points: from a grid to rows that can be queried, a finished study again, and questions to a million.

The points are as small as they can be and still have everything: five cells × ten gammas × lengths 3 and 4 × seeds,
two units, one input, one output, one column, the default probes. Each study is driven by a process of its own, on
this machine's cores, into a store that is deleted afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .results import Result, Target
from .timing import Run, clocked, interleaved, median

SIZES = (100_000, 1_000_000)
QUICK = (2_000,)
_SEEDLESS = 100  # points of one seed: cells × gammas × lengths
_TOP = "cell = 'lstm' and gamma = 0.95 and length = 4 and status = 'ok' order by half_life desc limit 100"
_GROUPS = "cell, gamma, length, count(*), avg(half_life), avg(horizon_1)"
QUERIES = {
    "top 100 of one cell, gamma, T": (f"select * from runs where {_TOP}", 0.05),
    "the same within a study": (
        f"select * from study_runs where study = 'millions' and current and {_TOP}",
        0.05,
    ),
    "group by cell, gamma, T": (f"select {_GROUPS} from runs where status = 'ok' group by 1, 2, 3", 0.3),
}
"""What is asked of all runs, and in how many seconds it should be answered."""
_FRAME_SECONDS, _RESUME_SECONDS, _MILLION_SECONDS = 3.0, 5.0, 180.0
_RATE, _FILES, _FLAT = 10_000.0, 500.0, 1.5


def millions(run: Run) -> Iterator[Result]:
    """Every size in turn, the smallest first; then what is asked of the largest."""
    memory = 0.0
    for size in QUICK if run.quick else SIZES:
        name = f"{size:,} points"
        if not run.wants(name):
            continue
        with tempfile.TemporaryDirectory(prefix="longlag-millions-") as folder:
            found = _process("drive", folder, size)
            yield _driven(name, size, found, memory)
            memory = memory or found["memory"]
            again = _process("drive", folder, size)
            targets = [Target("s to nothing to do", again["returned"], _RESUME_SECONDS, at_most=True)]
            yield Result(
                "millions", f"{name}, finished, again", again["returned"], targets=targets, details=again
            )
            yield from _asked(name, size, folder, 3 if run.quick else 7)


def study(size: int) -> Any:
    """So many trivial points, rounded to what the other axes make of one seed."""
    from .. import Study, linspace

    return Study(
        "millions",
        cell=["simple", "linear", "memory", "lstm", "gru"],
        gamma=linspace(0.5, 0.95, 10),
        length=[3, 4],
        seed=range(size // _SEEDLESS),
        hidden_size=2,
        input_size=1,
        output_size=1,
        batch_size=1,
    )


def _driven(name: str, size: int, found: dict[str, Any], memory: float) -> Result:
    """The row of a study; ``memory`` is the driver's at the smallest size, 0 where this is it."""
    rate = size / found["committed"]
    targets = [Target("files", found["files"], _FILES, at_most=True)]
    if size == SIZES[0]:
        targets.append(Target("points a second", rate, _RATE))
    if size == SIZES[1]:
        targets.append(Target("s", found["committed"], _MILLION_SECONDS, at_most=True))
    if memory:
        targets.append(
            Target(
                "× the driver's memory at the smallest size", found["memory"] / memory, _FLAT, at_most=True
            )
        )
    note = f"{rate:,.0f} points/s, {found['files']} files, driver {found['memory'] / 2**20:,.0f} MiB"
    workload = f"{name}, plan to committed"
    return Result("millions", workload, found["committed"], targets=targets, note=note, details=found)


def _asked(name: str, size: int, folder: str, rounds: int) -> Iterator[Result]:
    from .. import Client

    client = Client(data=folder, ray="inline")
    cases: dict[str, tuple[Callable[[], Any], float]] = {
        what: (lambda text=text: client.sql(text, max_rows=10 * size), seconds)
        for what, (text, seconds) in QUERIES.items()
    }
    cases["the whole frame"] = (lambda: client.runs("millions"), _FRAME_SECONDS)
    for what, (ask, seconds) in cases.items():
        taken = median(interleaved({what: clocked(ask)}, rounds=rounds)[what])
        targets = [Target("s", taken, seconds, at_most=True)]
        yield Result("millions", f"{name}, {what}", taken, targets=targets, details={"rows": len(ask())})


def _process(verb: str, folder: str, size: int) -> dict[str, Any]:
    """What a process of its own says of a verb, as JSON on its last line."""
    code = f"from longlag.benchmarks import millions; millions.{verb}({folder!r}, {size})"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{verb} of {size:,} points: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def drive(folder: str, size: int) -> None:
    """In a process of its own: complete the study and print seconds to the last commit and to the end (Ray is
    stopped), files, and the driver's largest resident memory in bytes."""
    import time

    from .. import Client

    given = study(size)
    began = time.perf_counter()
    committed: list[float] = []

    def told(progress: Any) -> None:
        if progress.done == progress.total:
            committed.append(time.perf_counter() - began)

    job = Client(data=folder).run(given, on_progress=told)
    found = {
        "committed": committed[0],
        "returned": time.perf_counter() - began,
        "files": len(list(Path(folder, "records").iterdir())),
        "memory": _largest_memory(),
        "counts": job.record.counts,
    }
    print(json.dumps(found))


def _largest_memory() -> int:
    """Bytes resident at this program's peak; ``ru_maxrss`` would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
