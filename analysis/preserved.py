"""Preserved norm: the factor ρ by which an error term's norm changes in one step, and its distance Ω from one.

``python -m longlag.analysis.preserved STUDY``. ρ_k = ‖δ_{t,k}‖/‖δ_{t,k+1}‖ and Ω = Σ_k (ρ_k − 1)², as in Pascanu,
Mikolov & Bengio 2013; the released code of that paper has squared norms, which is the other column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import finite, ln, mean_interval
from .text import between, number, short
from .variants import GROUP

FORMS = ("omega", "omega_squared_form")


def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: ``omega`` and ``omega_squared_form``, geometric means over seeds, with _low,
    _high and n_; zero, without an interval, where a seed's is zero. Runs of status ok."""
    by = list(GROUP)
    if "omega" not in frames.fine:
        return pd.DataFrame(columns=[*by, *(f"{a}{b}" for b in FORMS for a in ("n_", ""))])
    runs = frames.fine[frames.fine["omega"].notna()]
    result = runs[by].drop_duplicates().sort_values(by, ignore_index=True)
    for name in (form for form in FORMS if form in runs):
        part = mean_interval(runs[by].assign(**{name: ln(runs[name])}), by, name)
        part[["mean", "low", "high"]] = np.exp(part[["mean", "low", "high"]])
        values = runs[by].assign(value=finite(runs[name]))
        groups = values.groupby(by, dropna=False, observed=True, sort=True)["value"]
        part["n"] = groups.count().to_numpy()
        part.loc[groups.min().eq(0).to_numpy(), ["mean", "low", "high"]] = [0.0, np.nan, np.nan]
        names = {"n": f"n_{name}", "mean": name, "low": f"{name}_low", "high": f"{name}_high"}
        result = result.merge(part.rename(columns=names), on=by, how="left")
    return result


@once
def ratios(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and lag: ρ (arithmetic mean over seeds, with low, high and n). For what is
    drawn."""
    return mean_interval(frames.long("preserved_norm"), [*GROUP, "lag"], "ratio").rename(
        columns={"mean": "ratio"}
    )


def omega_text(row: dict, name: str = "omega") -> str:
    """Ω with its interval over seeds."""
    if name not in row or np.isnan(row[name]):
        return "–"
    return number(row[name], 3) + between(row[f"{name}_low"], row[f"{name}_high"], int(row[f"n_{name}"]), 3)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "Ω": omega_text(r),
                "Ω of squared norms": omega_text(r, "omega_squared_form"),
                "seeds": r["n_omega"],
            }
            for r in table.to_dict("records")
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "One-step ratios of the error term's norm, and their distance from one."
    return run("preserved", about, table, shown=shown, figure="preserved_norm", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
