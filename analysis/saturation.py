"""How the read-out of a memory cell closes with time: mean of f' = 1 − tanh²(c_t) against t, and what theory says.

``python -m longlag.analysis.saturation STUDY``. The state of a memory cell c_t = γ c_{t−1} + W g(x_t) is a sum of
independent steps. Given the sums S_j = Σ_i γ^(t−i) g(x_{i,j}) of the M inputs, W ~ N(0, 1/M) makes it Gaussian with
variance ‖S‖²/M, and for large t the S_j are Gaussian too, with mean m·Σγ^j and variance s²·Σγ^2j, where m and
s² are mean and variance of g(x). At γ = 1 and m = 0 this gives

    E[1 − tanh²(c_t)] → √(2/(π t)) · κ_M / s,    κ_M = √(M/2)·Γ((M−1)/2)/Γ(M/2),

because only the density at zero counts: 2·E[1/√(2π V)] with V = s² t χ²_M/M. κ_M is the price of a W that differs
from unit to unit (κ_4 = 1.253, κ_∞ = 1); where all steps are N(0, 1) the guide is √(2/(π t)). For g = tanh and
N(0, 1) inputs s² = 0.3943, and with M = 4 the guide is 1/(s√t) = 1.593/√t. Where m ≠ 0 (logistic, ReLU) |c_t|
grows like t and the guide is 2/(√(2π)·|m|·t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..workers.activations import ACTIVATIONS
from .command import run
from .load import Frames, longest, once
from .statistics import mean_interval
from .text import number, short
from .variants import GROUP

Float = NDArray[np.float64]


# -- the guide ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """What the steps of a memory cell are drawn from: mean and standard deviation of g(x), and M inputs."""

    mean: float
    sd: float
    inputs: int

    @property
    def biased(self) -> bool:
        """Whether g(x) has a mean other than zero, so that the state drifts."""
        return abs(self.mean) > 1e-9 * self.sd


def law(activation: str, input: str, input_scale: float, input_size: int) -> Law | None:
    """The law of the steps; None where they are not independent draws (impulse, or no input)."""
    if input not in ("gaussian", "uniform") or not input_scale > 0:
        return None
    if input == "gaussian":
        x = np.linspace(-12.0, 12.0, 24_001)
        p = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    else:
        x = np.linspace(-math.sqrt(3.0), math.sqrt(3.0), 24_001)
        p = np.full_like(x, 1 / (2 * math.sqrt(3.0)))
    g = np.asarray(ACTIVATIONS[activation].value(input_scale * x), np.float64)
    mean = float(np.trapezoid(p * g, x))
    return Law(mean, math.sqrt(float(np.trapezoid(p * (g - mean) ** 2, x))), int(input_size))


def closed_form(steps: Float, steps_law: Law) -> Float | None:
    """The guide at γ = 1 in closed form; None for a single unbiased input, where 1/√V has no mean."""
    M, t = steps_law.inputs, np.asarray(steps, np.float64)
    if steps_law.biased:
        return 2 / (math.sqrt(2 * math.pi) * abs(steps_law.mean) * t)
    if M < 2:
        return None
    return np.sqrt(2 / (math.pi * t)) * kappa(M) / steps_law.sd


def kappa(inputs: int) -> float:
    """E[(χ²_M/M)^(−1/2)], finite from M = 2 on."""
    return math.sqrt(inputs / 2) * math.exp(math.lgamma((inputs - 1) / 2) - math.lgamma(inputs / 2))


def guide(steps: Float, gamma: float, steps_law: Law) -> tuple[Float, Float]:
    """E[f'(c_t)] and E[ln f'(c_t)] for Gaussian sums, any γ, at each step: the closed form with its start."""
    t = np.asarray(steps, np.float64)
    first, second = _geometric_sum(gamma, t), _geometric_sum(gamma * gamma, t)
    M, sd = steps_law.inputs, steps_law.sd
    x, px = _chi_squared(M if not steps_law.biased else M - 1)
    z, pz = (np.zeros(1), np.ones(1)) if not steps_law.biased else _normal()
    drift = math.sqrt(M) * steps_law.mean * first / (sd * np.sqrt(second))
    square = (z[None, :, None] + drift[:, None, None]) ** 2 * (1.0 if steps_law.biased else 0.0) + x
    ln_sd = 0.5 * np.log(square * (sd**2 * second / M)[:, None, None])
    weight = pz[:, None] * px
    grid, mean, ln_mean = _read_out()
    values = (np.interp(ln_sd, grid, table) for table in (mean, ln_mean))
    one, two = ((value * weight).sum(axis=(1, 2)) for value in values)
    return one, two


def _geometric_sum(a: float, t: Float) -> Float:
    """Σ_{j<t} a^j."""
    return t if a == 1 else np.expm1(t * math.log(a)) / (a - 1) if a > 0 else np.ones_like(t)


def _chi_squared(k: int) -> tuple[Float, Float]:
    """Nodes and weights for χ²_k: the trapezoidal rule in ln x; a single node at zero for k = 0."""
    if k == 0:
        return np.zeros(1), np.ones(1)
    u = np.linspace(-60.0 / k - 2.0, math.log(k + 12 * math.sqrt(2 * k) + 40), 400)
    ln = u * k / 2 - np.exp(u) / 2
    weight = np.exp(ln - ln.max())
    return np.exp(u), weight / weight.sum()


def _normal() -> tuple[Float, Float]:
    z = np.linspace(-8.0, 8.0, 161)
    weight = np.exp(-z * z / 2)
    return z, weight / weight.sum()


@lru_cache(maxsize=1)
def _read_out() -> tuple[Float, Float, Float]:
    """ln σ, E[1 − tanh²(σζ)] and E[ln(1 − tanh²(σζ))] for ζ ~ N(0, 1), to interpolate in."""
    ln_sd, v = np.linspace(-14.0, 30.0, 600), np.linspace(-46.0, math.log(14.0), 1500)
    zeta = np.exp(v)
    weight = zeta * np.exp(-zeta * zeta / 2)
    weight /= weight.sum()
    c = np.exp(ln_sd)[:, None] * zeta
    ln = math.log(4.0) - 2 * c - 2 * np.log1p(np.exp(-2 * c))
    return ln_sd, np.exp(ln) @ weight, ln @ weight


# -- the table ---------------------------------------------------------------------------------------------


@once
def table(frames: Frames) -> pd.DataFrame:
    """One row a variant, γ, length and step t: mean f' over seeds (arithmetic, as the guide is an expectation) with
    low, high and n, mean ln f', and for memory cells the ``guide`` and ``ln_guide`` of Gaussian sums.

    Whatever the status: it speaks of the way back, and this is measured on the way forward.
    """
    by = [*GROUP, "step"]
    rows = longest(frames.saturation)
    rows = rows[rows["step"].isin(_thinned(rows["step"]))]
    means = mean_interval(rows, by, "mean")
    logs = mean_interval(rows, by, "ln_mean")[[*by, "mean"]].rename(columns={"mean": "ln_mean"})
    whole = means.merge(logs, on=by)
    whole = whole.assign(low=whole["low"].clip(lower=0), high=whole["high"].clip(upper=1))  # f' lies between
    return whole.assign(**_guides(frames, whole))


def _thinned(steps: pd.Series) -> Float:
    """All steps to 32, then 32 a decade, powers of two and the last: as many as a logarithmic axis can show."""
    last = steps.max() if len(steps) else 1
    nodes = np.rint(np.geomspace(32, max(last, 32), 1 + int(32 * max(math.log10(max(last, 32) / 32), 0)) + 1))
    there = np.sort(steps.unique())
    near = there[np.clip(np.searchsorted(there, nodes), 0, len(there) - 1)] if len(there) else nodes
    return np.unique(np.concatenate([there[there <= 32], near, 2.0 ** np.arange(40), [last]]))


def _guides(frames: Frames, whole: pd.DataFrame) -> dict[str, Float]:
    columns = {name: np.full(len(whole), np.nan) for name in ("guide", "ln_guide")}
    for (variant, gamma), part in whole.groupby(["variant", "gamma"], observed=True):
        steps_law, at = law_of(frames, str(variant)), float(str(gamma))
        if steps_law is None:
            continue
        t = part["step"].to_numpy(np.float64)
        nodes = np.unique(np.rint(np.geomspace(t.min(), t.max(), 60)))
        for name, values in zip(columns, guide(nodes, at, steps_law), strict=True):
            columns[name][whole.index.get_indexer(part.index)] = np.interp(np.log(t), np.log(nodes), values)
    return columns


def law_of(frames: Frames, variant: str) -> Law | None:
    """The law of the steps of a memory cell's variant; None for another cell or where parameters are not known."""
    if frames.variants[variant].cell != "memory":
        return None
    runs = frames.runs[frames.runs["variant"] == variant]
    names = ("activation", "input", "input_scale", "input_size")
    if any(name not in runs or runs[name].nunique() != 1 for name in names):
        return None
    return law(*(runs[name].iloc[0] for name in names))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, for people: at t = 1, 2, 4, … and the last step."""
    powers = 2 ** np.arange(0, 40)
    last = table.groupby(list(GROUP), observed=True)["step"].transform("max")
    rows = table[table["step"].isin(powers) | (table["step"] == last)].to_dict("records")
    return pd.DataFrame(
        [
            {
                "cell variant": r["variant"],
                "γ": short(r["gamma"]),
                "t": int(r["step"]),
                "mean f'": number(r["mean"], 3),
                "guide": number(r["guide"], 3),
                "mean ln f'": number(r["ln_mean"], 3),
                "seeds": r["n"],
            }
            for r in rows
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print, and with --out write, the table or the picture."""
    about = "Mean derivative of the squashing function by time, and the guide for a memory cell."
    return run("saturation", about, table, shown=shown, figure="saturation", argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
