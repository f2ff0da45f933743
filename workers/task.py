"""The task that is sent to a worker: a shard in, one record file written, a small receipt out."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import cost, records
from .kernel import Row, Task, run
from .points import KERNEL_VERSION, Point


@dataclass(frozen=True)
class Shard:
    """Points computed together, one file. ``seconds`` and ``memory`` (bytes) are estimates."""

    shard_id: str
    points: tuple[Point, ...]
    probes: tuple[str, ...]
    seconds: float
    memory: int
    checkpoints: bool = False
    """Whether the tape is made again by parts, to stay within the memory of a worker."""

    @classmethod
    def of(cls, points: Sequence[Point], probes: Sequence[str], checkpoints: bool = False) -> Shard:
        """A shard of these points, which have one shape; its name is the hash of what it holds."""
        text = "\n".join([f"{KERNEL_VERSION} {','.join(probes)}", *(p.point_id for p in points)])
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        seconds, memory = (
            len(points) * cost.seconds(points[0], probes),
            len(points) * cost.memory(points[0], probes, checkpoints),
        )
        return cls(name, tuple(points), tuple(probes), seconds, cost.base_memory() + memory, checkpoints)

    @property
    def file(self) -> str:
        """Its record file, relative to the store."""
        return f"records/{self.shard_id}.parquet"


@dataclass(frozen=True)
class Receipt:
    """What a worker returns: what it wrote (``file`` is None where every point failed), and whose points failed.

    ``counts`` are points by status; ``errors`` maps point_id to a message; such points are not in the file.
    """

    shard_id: str
    file: str | None
    rows: int
    size: int
    sha256: str
    counts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    host: str = ""
    pid: int = 0


def run_shard(shard: Shard, store: str) -> Receipt:
    """Compute a shard and write its file into the store's ``records`` folder.

    A point that raises is left out and named in the receipt; its neighbours are computed all the same.
    """
    began = time.perf_counter()
    path = Path(store) / shard.file
    rows, errors = compute(shard)
    seconds = time.perf_counter() - began
    kept = [p for p in shard.points if p.point_id in rows]
    receipt = {
        "shard_id": shard.shard_id,
        "counts": dict(Counter(str(row["status"]) for row in rows.values())),
        "errors": errors,
        "seconds": seconds,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    if not kept:
        return Receipt(file=None, rows=0, size=0, sha256="", **receipt)
    ids = [p.point_id for p in kept]
    table = records.table(kept, ids, [rows[i] for i in ids], shard.probes, seconds / len(shard.points))
    footer = {"shard_id": shard.shard_id, "probes": ",".join(shard.probes), "seconds": f"{seconds:.6g}"}
    records.write(table, path, footer | {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
    return Receipt(
        file=shard.file, rows=len(ids), size=path.stat().st_size, sha256=records.digest(path), **receipt
    )


def compute(shard: Shard) -> tuple[dict[str, Row], dict[str, str]]:
    """Rows by point_id, and messages of the points that raised; a stack that raises is halved to find them."""
    rows: dict[str, Row] = {}
    errors: dict[str, str] = {}
    pending = [list(shard.points)]
    while pending:
        points = pending.pop()
        try:
            measured = run([Task(p) for p in points], shard.probes, shard.checkpoints)
        except Exception as problem:  # any exception of one point must not take its neighbours along
            if len(points) > 1:
                half = len(points) // 2
                pending += [points[half:], points[:half]]
            else:
                errors[points[0].point_id] = f"{type(problem).__name__}: {problem}"
        else:
            rows.update((p.point_id, row) for p, row in zip(points, measured, strict=True))
    return rows, errors
