"""Ray Tune: a trial computes a point, or a batch of points, and reports rows; Tune keeps them in its own files."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..mixed import Rows, batches, points
from .torch_rows import rows

BATCH = 50
"""Points a trial of ``batched``, whose processes go on from trial to trial."""


_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def run(indices: Sequence[int], quick: bool, folder: Path, batched: bool) -> tuple[float, Rows]:
    """Seconds of the trials alone, and their rows; two trials at a time."""
    os.environ |= _ENVIRONMENT
    import ray
    from ray import tune

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    several = points(quick)
    work = batches(several, indices, BATCH) if batched else [[i] for i in indices]

    def trial(config: dict[str, Any]) -> None:
        tune.report({"rows": rows(points(quick) if batched else several, config["indices"])})

    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"indices": tune.grid_search(work)},
        tune_config=tune.TuneConfig(max_concurrent_trials=2, reuse_actors=batched),
        run_config=tune.RunConfig(storage_path=str(folder), name="bench", verbose=0),
    )
    began = time.perf_counter()
    found = tuner.fit()
    seconds = time.perf_counter() - began
    if found.errors:
        raise RuntimeError(str(found.errors[0]))
    result = [row for one in found for row in (one.metrics or {})["rows"]]
    ray.shutdown()
    return seconds, result
