"""Mean-field theory of the simple cell against what was measured: growth per step, and the γ at which it is one.

``python -m longlag.analysis.mean_field STUDY`` prints it for the greatest length of each simple cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..workers.points import PARAMETERS, Point
from ..workers.theory import critical_gain, fixed_point, mean_field
from .command import run
from .load import Frames, longest, once
from .statistics import geometric_interval, ln, mean_interval
from .text import fixed, lag_range, short
from .variants import GROUP

Floats = NDArray[np.float64]

MEASURED = ("gamma_realised", "gamma_lyapunov")
_SEEDS = 5
"""So many seeds are drawn again for a curve: its gain and input are their mean."""


@dataclass(frozen=True)
class Law:
    """What mean field says of a variant at every γ: ``gain`` g and standard deviation of the input at γ = 1.

    U is proportional to γ whatever γ fixes (norm, gain or radius), so the gain at γ is γ times that at one.
    ``silent``: nothing ever drives the network, and it stays at zero, stable or not.
    """

    activation: str
    gain: float
    input_sd: float
    silent: bool

    def gamma(self, gammas: Floats) -> Floats:
        """√χ at these γ; nan where there is none."""
        if self.silent:
            return self.gain * gammas
        chi = [fixed_point(self.activation, float(f"{self.gain * g:.12g}"), self.input_sd)[1] for g in gammas]
        return np.sqrt(np.asarray(chi))

    @property
    def critical(self) -> float:
        """The γ at which χ = 1."""
        return (1.0 if self.silent else critical_gain(self.activation, self.input_sd)) / self.gain


def laws(frames: Frames) -> dict[str, Law]:
    """The law of every simple variant whose mean field was measured and whose arrays are drawn, by label.

    Gain (geometric mean) and input (root mean square) are of the first five seeds at the greatest length. A trained
    network's U is no multiple of anything, and a calibrated one's of no γ alone: they have points and no curve.
    """
    if "layer" in frames.runs or not frames.has("gamma_mean_field"):
        return {}
    runs = frames.longest
    runs = runs[(runs["cell"] == "simple") & runs["gamma_mean_field"].notna()]
    if "gamma_kind" in runs:
        runs = runs[runs["gamma_kind"] != "realised"]
    seeds = runs.sort_values("seed").drop_duplicates(["variant", "seed"])
    found = {}
    for label, part in seeds.groupby("variant", observed=True, sort=True):
        rows = part.head(_SEEDS).to_dict("records")
        points = [{n: r[n] for n in PARAMETERS if n in r and not pd.isna(r[n])} for r in rows]
        fields = [_at_one(tuple(point.items())) for point in points]
        gain = math.exp(sum(math.log(g) for g, _ in fields) / len(fields))
        sd = math.sqrt(sum(sd**2 for _, sd in fields) / len(fields))
        activation = str(points[0]["activation"])
        silent = sd == 0 and activation == "tanh" and points[0].get("input") == "zero"
        found[str(label)] = Law(activation, gain, sd, silent)
    return found


@lru_cache(maxsize=1024)
def _at_one(parameters: tuple[tuple[str, object], ...]) -> tuple[float, float]:
    """Gain and input standard deviation of the point with these parameters at γ = 1, from its own arrays."""
    field = mean_field(Point(**{**dict(parameters), "gamma": 1.0}))
    return field.gain, field.input_sd


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a simple variant, γ and length: gamma_mean_field, gamma_realised, gamma_lyapunov (geometric means
    over seeds, ``_low``, ``_high``, ``n_``), critical_gamma, and seed by seed the logarithm of measured over mean
    field, ln_realised_ratio and ln_lyapunov_ratio (means, with the same). Runs of status ok only."""
    by = list(GROUP)
    if not frames.has("gamma_mean_field"):
        return pd.DataFrame(columns=by)
    runs = frames.fine[frames.fine["gamma_mean_field"].notna()]
    result = runs[by].drop_duplicates().sort_values(by, ignore_index=True)
    parts = {"gamma_mean_field": geometric_interval(runs, by, "gamma_mean_field")}
    for name in MEASURED:
        if not frames.has(name):
            continue
        parts[name] = geometric_interval(runs, by, name)
        ratio = ln(runs[name]) - ln(runs["gamma_mean_field"])
        named = f"ln_{name.removeprefix('gamma_')}_ratio"
        parts[named] = mean_interval(runs[by].assign(**{named: ratio}), by, named)
    for name, part in parts.items():
        names = {"n": f"n_{name}", "mean": name, "low": f"{name}_low", "high": f"{name}_high"}
        result = result.merge(part.rename(columns=names), on=by, how="left")
    critical = {label: law.critical for label, law in laws(frames).items()}
    result["critical_gamma"] = result["variant"].astype(object).map(critical).astype("float64")
    return result


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: the greatest length of each variant."""
    rows = longest(table).to_dict("records") if len(table) else []
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "T": r["length"],
                "mean field": with_interval(r, "gamma_mean_field"),
                "realised γ": with_interval(r, "gamma_realised"),
                "Lyapunov γ": with_interval(r, "gamma_lyapunov"),
                "critical γ": fixed(r["critical_gamma"], 3),
                "seeds": r["n_gamma_mean_field"],
            }
            for r in rows
        ]
    )


def with_interval(row: dict, name: str, places: int = 3) -> str:
    """A factor per step with its interval over seeds: ``0.646 [0.641, 0.652]``; – where it was not measured."""
    value = row.get(name, math.nan)
    if math.isnan(value):
        return "–"
    low, high, n = (row[key] for key in (f"{name}_low", f"{name}_high", f"n_{name}"))
    if math.isnan(low):
        return fixed(value, places) + lag_range(value, low, high, int(n))
    return f"{fixed(value, places)} [{fixed(low, places)}, {fixed(high, places)}]"


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, mean field against measurement as a table or a picture."""
    about = (
        "Mean-field growth per step of the simple cell against the measured one, with intervals over seeds."
    )
    return run("mean_field", about, table, shown=shown, figure="mean_field", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
