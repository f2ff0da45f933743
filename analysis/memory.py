"""Memory function and capacity: how much of the input k steps ago a linear read-out finds in the hidden state.

``python -m longlag.analysis.memory STUDY``. For white inputs Σ_k MC_k ≤ N (Jaeger 2001). MC_k is summed over the
components of the input and corrected for what is there by chance, so that it may be a little below zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import mean_interval
from .text import between, number, short
from .variants import GROUP


def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length: memory ``capacity`` (mean over seeds with low, high and n), the ``raw`` one,
    ``rank`` (mean over seeds), what MC_k is by chance (``bias``), and ``units``, the N that bounds the capacity.
    Runs of status ok."""
    by, runs = list(GROUP), frames.fine
    if "memory_capacity" not in runs:
        return pd.DataFrame(columns=[*by, "n", "capacity", "low", "high", "raw", "rank", "bias", "units"])
    runs = runs[runs["memory_capacity"].notna()]
    result = mean_interval(runs, by, "memory_capacity").rename(columns={"mean": "capacity"})
    more = {
        "raw": "memory_capacity_raw",
        "rank": "memory_rank",
        "bias": "memory_bias",
        "units": "hidden_size",
    }
    for name, measure in more.items():
        means = mean_interval(runs, by, measure)[[*by, "mean"]].rename(columns={"mean": name})
        result = result.merge(means, on=by, how="left")
    return result


@once
def function(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and lag k: MC_k corrected (mean over seeds with low, high and n), and ``raw``.
    For what is drawn."""
    by, rows = [*GROUP, "lag"], frames.long("memory_function")
    whole = mean_interval(rows, by, "corrected").rename(columns={"mean": "corrected"})
    raw = mean_interval(rows, by, "raw")[[*by, "mean"]].rename(columns={"mean": "raw"})
    return whole.merge(raw, on=by, how="left")


def capacity_text(row: dict) -> str:
    """The capacity with its interval over seeds."""
    return number(row["capacity"], 3) + between(row["low"], row["high"], int(row["n"]), 3)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "memory capacity": capacity_text(r),
                "of N": f"{r['units']:.0f}",
                "uncorrected": number(r["raw"], 3),
                "rank": number(r["rank"], 3),
                "by chance a lag": number(r["bias"]),
                "seeds": r["n"],
            }
            for r in table.to_dict("records")
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Memory capacity against N, and the memory function."
    return run("memory", about, table, shown=shown, figure="memory_function", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
