"""What back-propagation truncated to K steps loses, over seeds: bias, cosine and share by K, and the window that
holds 90 or 99 % of the gradient.

``python -m longlag.analysis.truncation STUDY`` prints the windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import geometric_interval, mean_interval
from .text import lag_range, lags, short
from .variants import GROUP

WINDOWS = ("truncation_90", "truncation_99")
CURVES = {"bias": "truncation", "cosine": "truncation", "ratio": "truncation", "share": "window"}
"""Curves by K, and the kind that has them: of all arrays but V and d, and (share) of the recurrent ones."""
_KEYS = [*GROUP, "window"]


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: truncation_90 and truncation_99 (steps, geometric means over seeds,
    ``_low``, ``_high``, ``n_``): the smallest window from which on the bias is at most 10 and 1 %. An interval ends
    at 1 and at the length. Runs of status ok only."""
    by = list(GROUP)
    if not frames.has(*WINDOWS):
        return pd.DataFrame(columns=by)
    runs = frames.fine[frames.fine[WINDOWS[0]].notna()]
    result = runs[by].drop_duplicates().sort_values(by, ignore_index=True)
    for name in WINDOWS:
        names = {"n": f"n_{name}", "mean": name, "low": f"{name}_low", "high": f"{name}_high"}
        result = result.merge(geometric_interval(runs, by, name).rename(columns=names), on=by, how="left")
        result[f"{name}_low"] = result[f"{name}_low"].clip(lower=1)
        result[f"{name}_high"] = result[f"{name}_high"].clip(upper=result["length"])
    return result


@once
def curves(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and window K: n seeds, and of each of ``CURVES`` that was measured its mean with
    ``_low`` and ``_high``. For what a report draws: ``Frames.drawn``."""
    whole = pd.DataFrame(columns=[*_KEYS, "n"])
    for name, kind in CURVES.items():
        long = frames.long(kind)
        if long.empty:
            continue
        part = mean_interval(long, _KEYS, name)
        part = part.rename(columns={"mean": name, "low": f"{name}_low", "high": f"{name}_high"})
        whole = part if whole.empty else whole.merge(part.drop(columns="n"), on=_KEYS, how="outer")
    return whole


def window_text(row: dict, name: str) -> str:
    """``4.2 [3.1, 5.6]``, ``128 in every seed``."""
    low, high, n = row[f"{name}_low"], row[f"{name}_high"], int(row[f"n_{name}"])
    same = n > 1 and high - low <= 1e-9 * row[name]
    return lags(row[name]) + (" in every seed" if same else lag_range(row[name], low, high, n))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: every length."""
    rows = table.to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "90 % of the gradient": window_text(r, "truncation_90"),
                "99 %": window_text(r, "truncation_99"),
                "seeds": r["n_truncation_90"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the windows as a table, or the picture of what truncation loses."""
    about = "The window of truncated back-propagation that holds 90 and 99 % of the gradient, in steps."
    return run("truncation", about, table, shown=shown, figure="truncation", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
