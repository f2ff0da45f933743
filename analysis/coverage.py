"""What was run and what came of it: counts of every status by cell variant.

``python -m longlag.analysis.coverage STUDY``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .command import run
from .load import Frames, once
from .phase import STATUSES, counted
from .text import short


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant: points, the number of each status, γ and length from and to, seeds, and the largest share
    of batch columns whose adjoint has died."""
    runs = frames.runs
    groups = runs.groupby("variant", observed=True)
    counts = counted(runs, ["variant"])
    spans = groups.agg(
        points=("status", "size"),
        gammas=("gamma", "nunique"),
        gamma_from=("gamma", "min"),
        gamma_to=("gamma", "max"),
        lengths=("length", lambda s: " ".join(str(v) for v in sorted(s.unique()))),
        seeds=("seed", "nunique"),
    ).reset_index()
    result = spans.merge(counts, on="variant")
    if "dead_fraction" in runs:
        dead = runs.assign(dead_columns=pd.to_numeric(runs["dead_fraction"], errors="coerce"))
        share = dead.groupby("variant", observed=True)["dead_columns"].max()
        result = result.merge(share.reset_index(), on="variant", how="left")
    return result


def present(table: pd.DataFrame) -> list[str]:
    """ok, and the other statuses that some point has."""
    return [s for s in STATUSES if s == "ok" or int(table[s].sum())]


def details(frames: Frames, most: int = 8) -> pd.DataFrame:
    """Why points are not ok: variant, status, how many, and what the worker said, the most frequent first."""
    bad = frames.runs[~frames.runs["status"].isin(("ok", "missing"))]
    if "status_detail" not in bad or bad.empty:
        return pd.DataFrame(columns=["variant", "status", "points", "gammas", "lengths", "example"])
    rows = [
        {
            "variant": variant,
            "status": status,
            "points": len(part),
            "gammas": ", ".join(short(g) for g in sorted(part["gamma"].unique())),
            "lengths": ", ".join(str(v) for v in sorted(part["length"].unique())),
            "example": next((str(d) for d in part["status_detail"] if isinstance(d, str)), ""),
        }
        for (variant, status), part in bad.groupby(["variant", "status"], observed=True)
    ]
    return pd.DataFrame(rows).sort_values("points", ascending=False, kind="stable").head(most)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    spans = [
        short(low) if low == high else f"{short(low)} … {short(high)}"
        for low, high in zip(table["gamma_from"], table["gamma_to"], strict=True)
    ]
    columns = {
        "cell variant": table["variant"].astype(str),
        "γ": spans,
        "T": table["lengths"],
        "seeds": table["seeds"],
    }
    statuses = {s.replace("_", " "): table[s] for s in present(table)}
    return pd.DataFrame({**columns, "points": table["points"], **statuses})


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table."""
    about = "Counts of every status by cell variant."
    return run("coverage", about, table, shown=shown, argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
