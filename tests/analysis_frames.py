"""Frames in closed form for the tests of the analyses: geometric curves with known slopes and horizons.

Typed as the client types them: text as ``string``, flags as ``boolean``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from longlag.workers.points import Point

LEVELS = {"half_life": 0.5, "horizon_10": 0.1, "horizon_1": 0.01}


def points(seeds: int = 5, **axes: Any) -> list[Point]:
    """The product of these axes; a value that is a list is an axis."""
    combinations: list[dict[str, Any]] = [{}]
    for name, value in {**axes, "seed": list(range(seeds))}.items():
        several = value if isinstance(value, list) else [value]
        combinations = [{**one, name: v} for one in combinations for v in several]
    return [Point(**one) for one in combinations]


def run(point: Point, rate: float, status: str = "ok") -> dict[str, Any]:
    """The row of a point whose adjoint curve is r(ℓ) = rate·ℓ."""
    L = point.length - 1
    row: dict[str, Any] = {
        "point_id": point.point_id,
        **point.to_dict(),
        "status": status,
        "status_detail": None,
    }
    measures: dict[str, Any] = {"gamma_nominal": point.gamma, "dead_fraction": 0.0}
    for name, level in LEVELS.items():
        lag = math.log(level) / rate if rate < 0 else math.inf
        cut = lag > L
        measures |= {name: math.nan if cut else lag, f"{name}_censored": cut}
        measures |= {f"{name}_last": math.nan if cut else math.ceil(lag), f"{name}_last_censored": cut}
    bounded = point.cell in ("simple", "linear", "memory", "residual")
    measures |= {
        "decay_rate": rate,
        "decay_r2": 1.0,
        "gamma_realised": math.exp(rate),
        "ln_ratio_end": rate * L,
    }
    measures["bound_gap"] = L * math.log(point.gamma) - rate * L if bounded else math.nan
    if status != "ok":
        measures = {name: None if "censored" in name else math.nan for name in measures}
    return {**row, **measures}


def frames(
    some: Iterable[Point],
    rate: Callable[[Point], float],
    status: Callable[[Point], str] = lambda point: "ok",
    gates: float | None = None,
) -> dict[str, pd.DataFrame]:
    """``runs``, ``curves`` and ``saturation`` of points with curves rate(point)·ℓ; ``gates``: slope of ∏f."""
    rows = [(point, rate(point), status(point)) for point in some]
    curves = [_curves(point, slope, gates) for point, slope, state in rows if state == "ok"]
    slopes = [_saturation(point) for point, _, state in rows if state == "ok"]
    runs = typed(pd.DataFrame([run(*row) for row in rows]))
    return {"runs": runs, "curves": _under(curves), "saturation": _under(slopes)}


def typed(runs: pd.DataFrame) -> pd.DataFrame:
    """Text as ``string`` and flags as ``boolean``."""
    for name in runs:
        if str(name).endswith("censored"):
            runs[name] = runs[name].astype("boolean")
        elif runs[name].dtype == object or pd.api.types.is_string_dtype(runs[name]):
            runs[name] = runs[name].astype("string")
    return runs


def _under(parts: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    return pd.concat(parts, ignore_index=True) if parts else None


def _curves(point: Point, slope: float, gates: float | None) -> pd.DataFrame:
    lag = np.arange(point.length)
    values = {"adjoint": slope * lag, "delta": slope * lag, "bound": lag * math.log(point.gamma)}
    if gates is not None and point.cell in ("lstm", "gru"):
        values["gate_product"] = gates * lag
    parts = [pd.DataFrame({"kind": kind, "lag": lag, "ln_norm": y}) for kind, y in values.items()]
    return pd.concat(parts).assign(point_id=point.point_id, q05=math.nan, q50=math.nan, q95=math.nan)


def _saturation(point: Point) -> pd.DataFrame:
    step = np.arange(1, point.length + 1)
    mean = 1 / np.sqrt(step)
    return pd.DataFrame({"point_id": point.point_id, "step": step, "mean": mean, "ln_mean": np.log(mean)})
