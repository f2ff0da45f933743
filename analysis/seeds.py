"""How the seeds of one and the same point are spread, and how far the averages over them differ.

``python -m longlag.analysis.seeds STUDY``. What is left of the error at the end of the curve is nearly log-normal
over seeds: geometric mean and median are close, and the arithmetic mean is that of the largest few seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import finite
from .text import fixed, power_of_ten, short
from .variants import headline_gamma, present

LEAST = 5
"""Fewer seeds are no distribution."""
_LN10 = np.log(10.0)
COLUMNS = (
    "variant",
    "gamma",
    "length",
    "n",
    "geometric",
    "median",
    "arithmetic",
    "sd",
    "smallest",
    "largest",
)


def values(frames: Frames) -> pd.DataFrame:
    """The end of the curve (``end``, natural logarithm) of every seed: each variant at its headline γ and greatest
    length; only variants with at least five seeds that have one."""
    runs = frames.longest
    keys = ["variant", "gamma", "length", "seed"]
    if "ln_ratio_end" not in runs:
        return runs[keys].iloc[:0].assign(end=pd.Series(dtype="float64"))
    rows = runs[keys].assign(end=finite(runs["ln_ratio_end"]))
    rows = rows[rows["end"].notna()]
    parts = []
    for label in present(rows):
        part = rows[rows["variant"] == label]
        part = part[part["gamma"] == headline_gamma(frames.variants[label], part["gamma"])]
        parts += [part] if len(part) >= LEAST else []
    return pd.concat(parts) if parts else rows.iloc[:0]


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant of ``values``: n, and natural logarithms of the geometric mean, the median and the
    arithmetic mean over seeds, the smallest and the largest; sd, the standard deviation of the logarithm."""
    rows = [
        {
            **dict(zip(("variant", "gamma", "length"), key, strict=True)),
            "n": len(part),
            "geometric": part["end"].mean(),
            "median": part["end"].median(),
            "arithmetic": np.logaddexp.reduce(part["end"].to_numpy()) - np.log(len(part)),
            "sd": part["end"].std(),
            "smallest": part["end"].min(),
            "largest": part["end"].max(),
        }
        for key, part in values(frames).groupby(["variant", "gamma", "length"], observed=True, sort=True)
    ]
    result = pd.DataFrame(rows, columns=list(COLUMNS))
    labels = list(frames.variants)
    return result.assign(variant=pd.Categorical(result["variant"], categories=labels, ordered=True))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "geometric mean": power_of_ten(r["geometric"]),
                "median": power_of_ten(r["median"]),
                "arithmetic mean": power_of_ten(r["arithmetic"]),
                "sd (decades)": fixed(r["sd"] / _LN10, 2),
                "smallest … largest": f"{power_of_ten(r['smallest'])} … {power_of_ten(r['largest'])}",
                "seeds": r["n"],
            }
            for r in table.to_dict("records")
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "What is left at the end of the curve, seed by seed, and three averages over the seeds."
    return run("seeds", about, table, shown=shown, figure="seeds", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
