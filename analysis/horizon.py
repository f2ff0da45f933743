"""How far back the gradient reaches: the lag at which half, a tenth and a hundredth of the adjoint is left.

``python -m longlag.analysis.horizon STUDY`` prints it for the greatest length of each cell variant. A curve that
never falls so far is censored at its last lag L: the horizon is "> L", never L.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, longest, once
from .statistics import horizon_interval, ln
from .text import exact, horizon
from .variants import GROUP

LEVELS = {"half_life": 0.5, "horizon_10": 0.1, "horizon_1": 0.01}
_LAST = tuple(f"{name}_last" for name in LEVELS)


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and level: n seeds, censored, limit L, kind, centre, low, high; see
    ``statistics.horizon_interval``. ``bound`` is the lag at which γ_nominal^ℓ itself has fallen so far.

    Runs of status ok and dead: in a dead one the adjoint is exactly zero from some lag on, which is a horizon.
    """
    runs = frames.runs[frames.runs["status"].isin(("ok", "dead"))]
    limit = runs["length"].astype("float64") - 1
    by, parts = list(GROUP), []
    nominal = _nominal(runs, by)
    for name in (*LEVELS, *_LAST):
        if name not in runs or f"{name}_censored" not in runs:
            continue
        part = horizon_interval(runs, by, name, limit).merge(nominal, on=by, how="left")
        part.insert(len(by), "level", name)
        ln_level = math.log(LEVELS[name.removesuffix("_last")])
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = ln_level / part.pop("ln_nominal").to_numpy(dtype="float64")
        part["bound"] = np.where(bound > 0, bound, np.inf)
        parts.append(part)
    if not parts:
        return pd.DataFrame(
            columns=[*by, "level", *["n", "censored", "limit", "kind", "centre", "low", "high", "bound"]]
        )
    return pd.concat(parts, ignore_index=True)


def _nominal(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    values = (
        pd.to_numeric(runs["gamma_nominal"], errors="coerce") if "gamma_nominal" in runs else runs["gamma"]
    )
    means = (
        runs[list(by)]
        .assign(ln_nominal=ln(values))
        .groupby(list(by), dropna=False, observed=True)["ln_nominal"]
        .mean()
    )
    return means.reset_index()


def text(row: dict) -> str:
    """One row of the table as text: ``9.1 [7.6, 10.9]``, ``> 255``."""
    return horizon(*(row[k] for k in ("kind", "centre", "low", "high", "n", "censored", "limit")))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: a row a variant and γ at the greatest length, a column a level."""
    if table.empty:
        return table
    rows = longest(table[table["level"].isin(LEVELS)])
    cells = rows.assign(text=[text(r) for r in rows.to_dict("records")])
    wide = cells.pivot(index=list(GROUP), columns="level", values="text")
    named = {"half_life": "half-life", "horizon_10": "10 %", "horizon_1": "1 %"}
    wide = wide.reindex(columns=[name for name in LEVELS if name in wide]).rename(columns=named).reset_index()
    seeds = rows[rows["level"] == rows["level"].iloc[0]].set_index(list(GROUP))["n"]
    wide["seeds"] = seeds.reindex(pd.MultiIndex.from_frame(wide[list(GROUP)])).to_numpy()
    wide["gamma"] = wide["gamma"].map(exact)
    wide.columns.name = None
    return wide.rename(columns={"variant": "cell variant", "gamma": "γ", "length": "T"})


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the horizons as a table or a picture."""
    about = "Horizons in lags, with 95 % intervals over seeds; '> L' where the curve never falls so far."
    return run("horizon", about, table, shown=shown, figure="horizons", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
