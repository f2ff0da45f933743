"""How fast the error shrinks or grows by lag: decay rate, realised γ, what is left at the end, gap to the bound.

``python -m longlag.analysis.decay STUDY`` prints it for the greatest length of each cell variant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, longest, once
from .statistics import ln, mean_interval
from .text import between, fixed, number, power_of_ten
from .variants import GROUP

_LN = ("gamma_nominal", "gamma_realised", "gamma_path", "gamma_lyapunov")  # geometric means
_PLAIN = ("decay_rate", "ln_ratio_end", "bound_gap")  # logarithms already


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: for each measure its mean over seeds, ``_low``, ``_high`` and ``n_`` seeds.

    decay_rate (natural logarithm a lag), gamma_nominal, gamma_realised and, where measured, gamma_path and
    gamma_lyapunov (geometric means), ln_ratio_end and bound_gap (natural logarithms), decay_r2 (the smallest of the
    seeds). Runs of status ok only.
    """
    runs, by = frames.fine, list(GROUP)
    result = runs[by].drop_duplicates().sort_values(by, ignore_index=True)
    if "decay_r2" in runs:
        worst = runs.groupby(by, dropna=False, observed=True)["decay_r2"].min()
        result = result.merge(worst.rename("decay_r2").reset_index(), on=by, how="left")
    for name in (*_PLAIN, *_LN):
        if name not in runs or (name in _LN[2:] and not frames.has(name)):
            continue
        values = runs[by].assign(**{name: ln(runs[name]) if name in _LN else runs[name]})
        part = mean_interval(values, by, name)
        if name in _LN:
            part[["mean", "low", "high"]] = np.exp(part[["mean", "low", "high"]])
        names = {"n": f"n_{name}", "mean": name, "low": f"{name}_low", "high": f"{name}_high"}
        part = part.rename(columns=names)
        result = result.merge(part, on=by, how="left")
    return result


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: the greatest length of each variant."""
    rows = longest(table).to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": number(r["gamma"], 4),
                "T": r["length"],
                "decay rate a lag": rate_text(r, 4),
                "realised γ": _with_interval(r, "gamma_realised", 4),
                "left at the end": power_of_ten(r.get("ln_ratio_end", np.nan)),
                "below the bound": _decades(r.get("bound_gap", np.nan)),
                "seeds": r.get("n_decay_rate", 0),
            }
            for r in rows
        ]
    )


def rate_text(row: dict, places: int = 3) -> str:
    """A decay rate with its interval, in natural logarithm a lag."""
    return _with_interval(row, "decay_rate", places)


def _with_interval(row: dict, name: str, places: int) -> str:
    if name not in row or np.isnan(row[name]):
        return "–"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    n = row.get(f"n_{name}", 1 if np.isnan(low) else 2)
    if n == 1 or np.isnan(low):
        return fixed(row[name], places) + between(low, high, int(n))
    return f"{fixed(row[name], places)} [{fixed(low, places)}, {fixed(high, places)}]"


def _decades(ln: float) -> str:
    """A gap in decades; – where γ^ℓ is no bound."""
    return "–" if np.isnan(ln) else f"{fixed(ln / np.log(10), 1)} decades"


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture of nominal against realised γ."""
    about = "Decay of the adjoint by lag, with 95 % intervals over seeds."
    return run("decay", about, table, shown=shown, figure="gammas", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
