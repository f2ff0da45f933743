"""Saturated and dead units: fractions whose f' is below 0.05 and 0.25 of the largest, by step.

``python -m longlag.analysis.saturated STUDY``. A ReLU unit is dead where f' = 0 at every step and batch column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import mean_interval
from .text import between, fixed, number, short
from .variants import GROUP

LIMITS = {"below_05": 0.05, "below_25": 0.25}


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and step: fractions of units and columns ``below_05`` and ``below_25`` of the
    largest f', means over seeds with _low, _high (within 0 and 1) and n. For what is drawn, of status ok."""
    by, rows = [*GROUP, "step"], frames.long("saturated")
    parts = []
    for name in LIMITS:
        part = mean_interval(rows, by, name).set_index(by)
        part["low"], part["high"] = part["low"].clip(lower=0), part["high"].clip(upper=1)
        parts.append(part.rename(columns={"mean": name, "low": f"{name}_low", "high": f"{name}_high"}))
    return parts[0].join(parts[1].drop(columns="n")).reset_index()


def dead(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length of ReLU units: the fraction that is dead, mean over seeds with low, high
    (within 0 and 1) and n. Whatever the status: it is measured on the way forward."""
    by, runs = list(GROUP), frames.runs
    if "dead_units" not in runs:
        return pd.DataFrame(columns=[*by, "n", "dead", "low", "high"])
    result = mean_interval(runs[runs["dead_units"].notna()], by, "dead_units")
    result = result.assign(low=result["low"].clip(lower=0), high=result["high"].clip(upper=1))
    return result.rename(columns={"mean": "dead"})


def dead_shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table of dead units as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "dead units": number(r["dead"], 3) + between(r["low"], r["high"], int(r["n"]), 3),
                "seeds": r["n"],
            }
            for r in table.to_dict("records")
        ]
    )


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: at t = 1, 2, 4, … and the last step."""
    last = table.groupby(list(GROUP), observed=True)["step"].transform("max")
    rows = table[table["step"].isin(2 ** np.arange(40)) | (table["step"] == last)].to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "t": int(r["step"]),
                **{f"f' < {limit} γ_f": fixed(r[name], 3) for name, limit in LIMITS.items()},
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Fractions of saturated units by step."
    return run("saturated", about, table, shown=shown, figure="saturation", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
