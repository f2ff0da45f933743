"""Gates: time scales of the keep (forget) gates, and how often gates stand open (above 0.9) or closed (below 0.1).

``python -m longlag.analysis.gates STUDY``. A unit's gate time is −1/⟨ln f⟩; the nominal one is −1/ln γ, which a
gate would have whose net input were its bias alone (Tallec & Ollivier 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import Frames, once
from .statistics import ln, mean_interval
from .text import between, fixed, number, short
from .variants import GROUP

GATES = {"i": "input", "f": "forget", "o": "output", "k": "keep", "r": "reset"}


def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ and length of gated cells: nominal time −1/ln γ, median gate time (geometric mean over
    seeds, low, high, n), and mean fractions ``open_<gate>`` and ``closed_<gate>`` over seeds. Runs of status ok."""
    by, runs = list(GROUP), frames.fine
    if "gate_time_median" not in runs:
        return pd.DataFrame(columns=[*by, "n", "time", "low", "high", "nominal"])
    runs = runs[runs["gate_time_median"].notna()]
    result = mean_interval(runs[by].assign(time=ln(runs["gate_time_median"])), by, "time")
    result = result.rename(columns={"mean": "time"})
    result[["time", "low", "high"]] = np.exp(result[["time", "low", "high"]])
    result["nominal"] = nominal(result["gamma"])
    for gate in GATES:
        for what in ("open", "closed"):
            if frames.has(name := f"gate_{what}_{gate}"):
                means = mean_interval(runs, by, name)[[*by, "mean"]]
                result = result.merge(means.rename(columns={"mean": f"{what}_{gate}"}), on=by, how="left")
    return result


@once
def steps(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and step: fractions of keep gates ``open`` and ``closed``, means over seeds with
    _low, _high (within 0 and 1) and n. For what is drawn."""
    by = [*GROUP, "step"]
    rows = frames.long("gates")
    parts = []
    for name in ("open", "closed"):
        part = mean_interval(rows, by, name).set_index(by)
        part["low"], part["high"] = part["low"].clip(lower=0), part["high"].clip(upper=1)
        parts.append(part.rename(columns={"mean": name, "low": f"{name}_low", "high": f"{name}_high"}))
    return parts[0].join(parts[1].drop(columns="n")).reset_index()


def nominal(gamma: pd.Series) -> pd.Series:
    """−1/ln γ in steps: 0 at γ = 0, ∞ at γ = 1."""
    with np.errstate(divide="ignore"):
        return pd.Series(np.abs(1 / np.log(gamma.to_numpy(np.float64))), index=gamma.index)


def present_gates(table: pd.DataFrame) -> list[str]:
    """Gates of which the table has a fraction, in the order of ``GATES``."""
    return [gate for gate in GATES if f"open_{gate}" in table]


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people."""
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "nominal": number(r["nominal"], 3),
                "median": time_text(r),
                **{f"{gate} >.9/<.1": fractions_text(r, gate) for gate in present_gates(table)},
                "seeds": r["n"],
            }
            for r in table.to_dict("records")
        ]
    )


def time_text(row: dict) -> str:
    """The median gate time in steps, with its interval over seeds."""
    return number(row["time"], 3) + between(row["low"], row["high"], int(row["n"]), 3)


def fractions_text(row: dict, gate: str) -> str:
    """``0.12 / 0.03``: the fractions of a gate that is open and closed; – where the cell lacks it."""
    both = row[f"open_{gate}"], row[f"closed_{gate}"]
    return "–" if np.isnan(both[0]) else f"{fixed(both[0], 2)} / {fixed(both[1], 2)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Time scales of the keep gates, and fractions of gates that stand open or closed."
    return run("gates", about, table, shown=shown, figure="gates", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
