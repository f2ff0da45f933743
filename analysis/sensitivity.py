"""Forward sensitivity: E h² and E(∂h/∂θ)² at the last step, against γ.

``python -m longlag.analysis.sensitivity STUDY``. Both can grow as γ → 1 even where the error is calm: a small
change of a recurrent parameter adds up over a long memory (Zucchet & Orvieto 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames
from .statistics import finite, mean_interval
from .text import power_of_ten, short
from .variants import GROUP

MEASURES = {"hidden": "ln_hidden_square", "sensitivity": "ln_sensitivity_square"}


def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: ``hidden``, ln E h², and ``sensitivity``, ln E‖∂h/∂θ‖², means over seeds
    with _low, _high and n_ (of the seeds where it is not zero). Runs of status ok."""
    by, runs = list(GROUP), frames.fine
    if not set(MEASURES.values()) <= set(runs):
        return pd.DataFrame(columns=[*by, *(f"{a}{b}" for b in MEASURES for a in ("n_", ""))])
    runs = runs[runs["ln_hidden_square"].notna()]
    result = runs[by].drop_duplicates().sort_values(by, ignore_index=True)
    for name, measure in MEASURES.items():
        part = mean_interval(runs, by, measure)
        names = {"n": f"n_{name}", "mean": name, "low": f"{name}_low", "high": f"{name}_high"}
        result = result.merge(part.rename(columns=names), on=by, how="left")
    return result


def growth(frames: Frames, label: str, low: float, high: float) -> dict[str, dict]:
    """What both grow by between two γ of a variant at its greatest length, paired by seed: for ``hidden`` and
    ``sensitivity`` n, mean, low and high (natural logarithms)."""
    runs = frames.longest[frames.longest["variant"] == label]
    found = {}
    for name, measure in MEASURES.items():
        first, last = (finite(runs[runs["gamma"] == g].set_index("seed")[measure]) for g in (low, high))
        pairs = (last - first).rename("change").reset_index().assign(name=name)
        (found[name],) = mean_interval(pairs, ["name"], "change").to_dict("records")
    return found


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "E h²": power_text(r, "hidden"),
                "E(∂h/∂θ)²": power_text(r, "sensitivity"),
                "seeds": r["n_sensitivity"],
            }
            for r in table.to_dict("records")
        ]
    )


def power_text(row: dict, name: str) -> str:
    """One of both with its interval over seeds; – where it is zero in every seed."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(low):
        return power_of_ten(row[name]) + (" (n = 1)" if row[f"n_{name}"] == 1 else "")
    return f"{power_of_ten(row[name])} [{power_of_ten(low)}, {power_of_ten(high)}]"


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Mean squares of the hidden state and of its derivative by the recurrent parameters, against γ."
    return run("sensitivity", about, table, shown=shown, figure="sensitivity", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
