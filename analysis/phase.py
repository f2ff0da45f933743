"""Where in the plane of γ and T the error vanishes, holds or explodes.

``python -m longlag.analysis.phase STUDY`` prints log10 of ‖λ_{t,1}‖/‖λ_{t,t}‖ over the whole sequence: minus six
means that a millionth of the error arrives at the first step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import mean_interval
from .text import exact, fixed
from .variants import GROUP

STATUSES = ("ok", "dead", "overflow", "unreachable", "no_signal", "error", "missing")
LETTERS = {"dead": "d", "overflow": "o", "unreachable": "u", "no_signal": "n", "error": "e", "missing": "·"}
"""How a status that is not ok is marked in a map; it is never left blank."""


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: decades (mean over seeds of log10 of the end of the adjoint curve), _low,
    _high, n, and the number of points of every status. Runs of status ok have a value."""
    by = list(GROUP)
    counts = counted(frames.runs, by)
    if "ln_ratio_end" not in frames.runs:
        return counts.assign(n=0, decades=np.nan, decades_low=np.nan, decades_high=np.nan)
    values = frames.fine[by].assign(decades=frames.fine["ln_ratio_end"].astype("float64") / np.log(10))
    means = mean_interval(values, by, "decades")
    means = means.rename(columns={"mean": "decades", "low": "decades_low", "high": "decades_high"})
    result = counts.merge(means, on=by, how="left")
    return result.assign(n=result["n"].fillna(0).astype("int64"))


def counted(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row a group, and a column for every status: how many points have it."""
    status = pd.Categorical(runs["status"].astype(str), categories=list(STATUSES))
    dummies = pd.get_dummies(pd.Series(status, index=runs.index)).astype("int64")
    dummies.columns = list(STATUSES)
    return (
        pd.concat([runs[list(by)], dummies], axis=1)
        .groupby(list(by), dropna=False, observed=True)
        .sum()
        .reset_index()
    )


def mark(row: dict) -> str:
    """What stands for the points without a value: ``d``, or ``d2 o1`` where there are several kinds; '' if none."""
    kinds = [(LETTERS[s], int(row[s])) for s in LETTERS if row[s]]
    if len(kinds) == 1 and not row["ok"]:
        return kinds[0][0]
    return " ".join(f"{letter}{count}" for letter, count in kinds)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: a row a variant and length, a column a γ."""
    cells = table.assign(
        text=[
            f"{fixed(r['decades'], 1)} {mark(r)}".strip() if r["n"] else mark(r) or "–"
            for r in table.to_dict("records")
        ],
        gamma=table["gamma"].map(exact),
    )
    order = [exact(g) for g in sorted(table["gamma"].unique())]
    wide = cells.pivot(index=["variant", "length"], columns="gamma", values="text").reindex(columns=order)
    wide.columns.name = None
    return wide.fillna("").reset_index().rename(columns={"variant": "cell variant", "length": "T"})


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the maps as a table or a picture."""
    about = "log10 of the adjoint at the first step over that at the last, by γ and T."
    return run("phase", about, table, shown=shown, figure="phase_map", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
