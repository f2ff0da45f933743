"""The task that is sent to a worker: a shard in, one record file written, a small receipt out."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from . import cost, records
from .kernel import Part, Task, run
from .many import Points
from .points import KERNEL_VERSION, Point
from .room import Room


@dataclass(frozen=True)
class Shard:
    """Points of one shape whose rows are one file. ``seconds`` and ``memory`` (bytes) are estimates."""

    shard_id: str
    points: Points
    probes: tuple[str, ...]
    seconds: float
    memory: int
    checkpoints: bool = False
    """Whether the tape is made again by parts, to stay within the memory of a worker."""
    stack: int = 1
    """Points that are computed together at most."""

    @classmethod
    def of(
        cls,
        points: Sequence[Point],
        probes: Sequence[str],
        checkpoints: bool = False,
        stack: int | None = None,
        costs: cost.Costs | None = None,
    ) -> Shard:
        """A shard of these points, which have one shape; its name is the hash of what it holds.

        ``stack``: points that are computed together, without it ``cost.stack_points``; or ``costs`` of this shape,
        where they are known.
        """
        points = Points.of(points)
        text = "\n".join([f"{KERNEL_VERSION} {','.join(probes)}", *points.ids()])
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        each = costs or cost.Costs.of(points[0], probes, checkpoints, stack)
        count = len(points)
        return cls(
            name,
            points,
            tuple(probes),
            count * each.seconds,
            each.memory(count),
            each.checkpoints,
            min(count, each.stack),
        )

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
    ids = shard.points.ids()
    parts, errors = compute(shard)
    seconds = time.perf_counter() - began
    points = shard.points
    receipt = {
        "shard_id": shard.shard_id,
        "counts": dict(Counter(status for part in parts for status in part.columns["status"])),
        "errors": {ids[place]: message for place, message in errors.items()},
        "seconds": seconds,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    if not parts:
        return Receipt(file=None, rows=0, size=0, sha256="", **receipt)
    if errors:
        kept = [place for place in range(len(ids)) if place not in errors]
        points, ids = points.take(np.array(kept)), [ids[place] for place in kept]
        among = {place: i for i, place in enumerate(kept)}
        parts = [Part([among[place] for place in part.places], part.columns) for part in parts]
    table = records.table(points, ids, parts, shard.probes, seconds / len(shard.points))
    footer = {"shard_id": shard.shard_id, "probes": ",".join(shard.probes), "seconds": f"{seconds:.6g}"}
    footer["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    size, sha256 = records.write(table, path, footer)
    return Receipt(file=shard.file, rows=len(ids), size=size, sha256=sha256, **receipt)


def stacks(count: int, most: int) -> list[range]:
    """So many places in as few parts of at most ``most`` as there can be, as equal as may be."""
    parts = -(-count // most)
    edges = [count * i // parts for i in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(edges)]


def compute(shard: Shard) -> tuple[list[Part], dict[int, str]]:
    """Measures of the shard's points by their places in it, and messages of those that raised.

    The points are computed in stacks as equal as may be; one that raises is halved to find those.
    """
    tasks = [Task(point) for point in shard.points]
    parts: list[Part] = []
    errors: dict[int, str] = {}
    room = Room()  # what one stack has left serves the next
    pending = stacks(len(tasks), shard.stack)[::-1]
    while pending:
        places = pending.pop()
        try:
            measured = run([tasks[p] for p in places], shard.probes, shard.checkpoints, room)
        except Exception as problem:  # any exception of one point must not take its neighbours along
            room = Room()  # what was lent is not given back
            if len(places) > 1:
                half = len(places) // 2
                pending += [places[half:], places[:half]]
            else:
                errors[places[0]] = f"{type(problem).__name__}: {problem}"
        else:
            parts += [part.at(places) for part in measured]
    return parts, errors
