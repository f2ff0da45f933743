"""Lag curves: what is left of the error by lag, with the bound or reference and the product of gates beside it.

``python -m longlag.analysis.curves STUDY`` prints them at lags 1, 2, 4, … for the γ that a report draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .command import run
from .load import DRAWN_KINDS, Frames, once
from .statistics import mean_interval
from .text import power_of_ten, short
from .variants import GROUP

_KEYS = [*GROUP, "lag"]


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and lag: ``adjoint`` (mean over seeds of the curve, natural logarithm) with low,
    high and n, and the means of ``bound`` and ``gate_product``. For what a report draws: ``Frames.drawn``."""
    chosen = frames.curves[
        frames.curves["kind"].isin(DRAWN_KINDS) & frames.curves["point_id"].isin(frames.drawn["point_id"])
    ]
    parts = {
        kind: mean_interval(chosen[chosen["kind"] == kind], _KEYS, "ln_norm").set_index(_KEYS)
        for kind in DRAWN_KINDS
    }
    whole = parts["adjoint"].rename(columns={"mean": "adjoint"})
    for kind in DRAWN_KINDS[1:]:
        whole[kind] = parts[kind]["mean"]
    return whole[["n", *DRAWN_KINDS, "low", "high"]].reset_index()


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: at lags 1, 2, 4, … and the last."""
    last = table.groupby(list(GROUP), observed=True)["lag"].transform("max")
    rows = table[table["lag"].isin(2 ** np.arange(40)) | (table["lag"] == last)].to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "lag": int(r["lag"]),
                "left": power_of_ten(r["adjoint"]),
                "interval": f"[{power_of_ten(r['low'])}, {power_of_ten(r['high'])}]"
                if r["n"] > 1
                else "n = 1",
                "γ^lag": power_of_ten(r["bound"]),
                "∏f": power_of_ten(r["gate_product"]),
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the curves as a table or a picture."""
    about = "What is left of the error by lag, with 95 % intervals over seeds."
    return run("curves", about, table, shown=shown, figure="lag_curves", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
