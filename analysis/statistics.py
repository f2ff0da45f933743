"""Means and intervals over seeds. The seed is the unit of replication: never a batch column or a time step.

Norms shrink and grow by factors, so means are means of logarithms (geometric means of the numbers themselves), and
a 95 % interval is Student's on that scale. Nothing here needs SciPy; the tests compare with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval in a report."""


@lru_cache(maxsize=4096)
def t_quantile(df: int, level: float = LEVEL) -> float:
    """q with P(|t| < q) = level for Student's t with ``df`` degrees of freedom (Abramowitz & Stegun 26.7.3–5)."""
    if df < 1:
        return math.nan
    if df > 400:
        z = NormalDist().inv_cdf((1 + level) / 2)
        return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    low, high = 0.0, math.pi / 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, df) < level else (low, middle)
    return math.sqrt(df) * math.tan((low + high) / 2)


def _inside(theta: float, df: int) -> float:
    """P(|t| < √df·tan θ), a finite sum for whole degrees of freedom."""
    sine, cosine = math.sin(theta), math.cos(theta)
    if df == 1:
        return 2 * theta / math.pi
    odd = df % 2
    term = total = cosine if odd else 1.0
    for j in range(2 + odd, df, 2):
        term *= cosine**2 * (j - 1) / j
        total += term
    return (theta + sine * total) * 2 / math.pi if odd else sine * total


def finite(values: pd.Series) -> pd.Series:
    """The column as float64, with null for whatever is not a finite number."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def ln(values: pd.Series) -> pd.Series:
    """Natural logarithm of a column; null where there is none."""
    numbers = finite(values)
    return pd.Series(np.log(numbers.where(numbers > 0)), index=values.index)


def _half_width(sd: pd.Series, n: pd.Series) -> pd.Series:
    """Half of a t-interval of a mean; null for n = 1."""
    quantile = np.array([t_quantile(int(count) - 1) for count in n.to_numpy()])
    return sd * quantile / np.sqrt(n.clip(lower=1))


def mean_interval(values: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Mean and t-interval of a column over the rows (seeds) of each group.

    Columns: ``by``, then n, mean, low, high. What is not finite does not count; with n = 1 there is no interval.
    """
    rows = values[list(by)].assign(**{column: finite(values[column])})
    groups = rows.groupby(list(by), dropna=False, observed=True, sort=True)[column]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    half = _half_width(table.pop("sd"), table["n"])
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)


def geometric_interval(values: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Geometric mean and t-interval of the logarithm of a column over the rows (seeds) of each group; columns as
    ``mean_interval`` has them. What has no logarithm does not count."""
    table = mean_interval(values[list(by)].assign(**{column: ln(values[column])}), by, column)
    ends = ["mean", "low", "high"]
    return table.assign(**{end: np.exp(table[end]) for end in ends})


def horizon_interval(runs: pd.DataFrame, by: Sequence[str], name: str, limit: pd.Series) -> pd.DataFrame:
    """A horizon over the seeds of each group, censoring honoured; ``limit`` is the last lag of each row's curve.

    Columns: ``by``, then n (seeds that have a horizon or are censored), censored, limit, kind, centre, low, high:

    - ``geometric mean``: no seed is censored; geometric mean and t-interval of the logarithm;
    - ``median``: some are; the median over seeds, and the smallest and the largest seed (``inf`` where censored);
    - ``lower limit``: the median is censored too; centre and high are ``inf``, low is the smallest seed, or the
      limit where all are censored. Never is ``limit`` itself a horizon.
    """
    rows = _seeds(runs, by, name, limit)
    groups = rows.groupby(list(by), dropna=False, observed=True, sort=True)
    table = groups.agg(
        n=("value", "size"),
        censored=("cut", "sum"),
        limit=("limit", "min"),
        mean=("ln", "mean"),
        sd=("ln", "std"),
        smallest=("value", "min"),
    ).reset_index()
    half = _half_width(table["sd"], table["n"] - table["censored"])
    for end, at in (("centre", table["mean"]), ("low", table["mean"] - half), ("high", table["mean"] + half)):
        table[end] = np.exp(at)
    table["kind"] = "geometric mean"
    gone = table["smallest"] == 0  # a gradient that is gone at once has no logarithm, and no mean but zero
    table.loc[gone, ["centre", "low", "high"]] = [0.0, math.nan, math.nan]
    cut = table["censored"] > 0
    if cut.any():
        table.loc[cut, "centre"] = _medians(rows, groups.ngroup())[cut.to_numpy()]
        table.loc[cut, "kind"] = np.where(np.isinf(table.loc[cut, "centre"]), "lower limit", "median")
        table.loc[cut, "low"] = table.loc[cut, "smallest"].fillna(table.loc[cut, "limit"])
        table.loc[cut, "high"] = math.inf
    return table[[*by, "n", "censored", "limit", "kind", "centre", "low", "high"]]


def _seeds(runs: pd.DataFrame, by: Sequence[str], name: str, limit: pd.Series) -> pd.DataFrame:
    """Rows that have a horizon (``value``, ``ln``) or are censored (``cut``); without a curve they are neither."""
    cut = runs[f"{name}_censored"].isin([True])
    value = finite(runs[name]).where(~cut)
    rows = runs[list(by)].assign(value=value, ln=ln(value), cut=cut, limit=limit.astype("float64"))
    return rows[cut | value.notna()]


def _medians(rows: pd.DataFrame, group: pd.Series) -> NDArray[np.float64]:
    """Median seed of each group, the censored ones (null) beyond all others: ``inf`` where it is one of them. Of
    an even number of seeds the geometric mean of the middle two."""
    values = rows["value"].fillna(math.inf).to_numpy()
    code = group.to_numpy()
    order = np.lexsort((values, code))
    count = np.bincount(code)
    middle = np.cumsum(count) - count + count // 2
    ordered = values[order]
    upper, lower = ordered[middle], ordered[np.maximum(middle - 1, 0)]
    return np.where((count % 2 == 1) | np.isinf(upper), upper, np.sqrt(lower * upper))
