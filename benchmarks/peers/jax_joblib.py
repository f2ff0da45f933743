"""JAX's vmap over batches of one shape, two processes of joblib, and a Parquet file a batch as our workers
write."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from ..mixed import Rows, batches, points, rows_of
from ..ours import problem_of
from .process import ONE_THREAD

BATCH = 50
"""Points a batch."""


def run(indices: Sequence[int], quick: bool, folder: Path) -> tuple[float, Rows]:
    """Seconds of all batches, processes and compilation included, and their rows as the files have them."""
    import pyarrow.parquet
    from joblib import Parallel, delayed

    os.environ |= ONE_THREAD
    began = time.perf_counter()
    work = batches(points(quick), indices, BATCH)
    files = Parallel(n_jobs=2)(
        delayed(_batch)(batch, quick, str(folder / f"{i}.parquet")) for i, batch in enumerate(work)
    )
    seconds = time.perf_counter() - began
    return seconds, [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def _batch(indices: Sequence[int], quick: bool, path: str) -> str:
    import pyarrow
    import pyarrow.parquet

    from . import jax_scan

    several = points(quick)
    work, answer = jax_scan.prepare(problem_of([several[i] for i in indices], "sweeps"))
    rows = rows_of(indices, answer(work()))
    parameters = [several[row["index"]].to_dict() for row in rows]
    table = pyarrow.Table.from_pylist([{**one, **row} for one, row in zip(parameters, rows, strict=True)])
    pyarrow.parquet.write_table(table, path, compression="zstd")
    return path
