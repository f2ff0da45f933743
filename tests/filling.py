"""Studies whose points take no time, and how they come into a store and its index."""

import os
import random
import subprocess
import sys
from inspect import getsource
from typing import Any

from longlag.service import models, upkeep
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.service.study import Study
from longlag.workers.points import Point
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.task import Receipt, Shard, run_shard
from sqlalchemy import create_engine, text


def study(name: str = "s", seeds: int = 3, **keywords: Any) -> Study:
    """A study whose points take no time."""
    return Study(
        name, **{"seed": range(seeds), "length": [2, 6], "hidden_size": 2, "batch_size": 2, **keywords}
    )  # type: ignore[arg-type]


def measured(store: Store, points: list[Point], probes: tuple[str, ...] = DEFAULT_PROBES) -> Receipt:
    return run_shard(Shard.of(points, probes), str(store.root))


def submit(index: Index, store: Store, given: Study) -> int:
    """Everything that a driver does for a study, without a job; returns how many points were computed."""
    index.adopt(store)
    info = index.add_revision(given)
    store.write_revision(info.study, info.revision, info.toml)
    present = index.present(info.id, info.probes)
    groups: dict[object, list[Point]] = {}
    for point in given.points():
        if point.point_id not in present:
            groups.setdefault(point.shape, []).append(point)
    for points in groups.values():
        receipt = measured(store, points, given.probes)
        index.commit((receipt, store.scalars(str(receipt.file)), points))
    return sum(map(len, groups.values()))


def rows(index: Index, table: str) -> list[tuple[object, ...]]:
    return sorted(
        map(tuple, index.read(lambda c: c.execute(text(f"select * from {table}")).fetchall())), key=str
    )


def dump(index: Index) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows(index, table) for table in models.metadata.tables}


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def bring(index: Index, store: Store) -> int:
    files, changed = sorted(store.files()), 0
    for _ in range(5):
        random.shuffle(files)
        for file in files:
            changed += index.commit((*upkeep.inspect_file(store, file), ()))
    return changed


BRING = f"""
import random, sys
from longlag.service import upkeep
from longlag.service.index import Index
from longlag.service.store import Store
{getsource(bring)}
print(bring(Index.open(sys.argv[1]), Store(sys.argv[2])))
"""


def spawn(script: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()
