"""Means and intervals over seeds against SciPy, horizons with censoring, and how they are written."""

import math

import numpy as np
import pandas as pd
import pytest
from longlag.analysis import text
from longlag.analysis.statistics import horizon_interval, mean_interval, t_quantile
from scipy import stats


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 30, 101, 400, 401, 5000])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantile_of_t(df, level):
    assert t_quantile(df, level) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-6)


def test_mean_and_interval():
    values = np.array([0.3, -0.2, 1.1, 0.4, 0.9])
    frame = pd.DataFrame({"cell": "a", "x": [*values, math.nan, math.inf]})
    (row,) = mean_interval(frame, ["cell"], "x").to_dict("records")
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (row["n"], row["mean"]) == (5, pytest.approx(values.mean()))
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_has_no_interval_and_none_has_nothing():
    frame = pd.DataFrame({"cell": ["a", "b"], "x": [2.0, None]})
    a, b = mean_interval(frame, ["cell"], "x").to_dict("records")
    assert (a["n"], a["mean"]) == (1, 2.0)
    assert math.isnan(a["low"])
    assert math.isnan(a["high"])
    assert b["n"] == 0
    assert math.isnan(b["mean"])


def horizon(values, limit=255):
    """One group of seeds; None is censored, nan has no curve."""
    frame = pd.DataFrame(
        {
            "cell": "a",
            "h": [math.nan if v is None else v for v in values],
            "h_censored": pd.array([v is None for v in values], dtype="boolean"),
        }
    )
    rows = horizon_interval(frame, ["cell"], "h", pd.Series(limit, index=frame.index)).to_dict("records")
    return rows[0] if rows else None


def written(row):
    return text.horizon(*(row[k] for k in ("kind", "centre", "low", "high", "n", "censored", "limit")))


def test_horizons_are_geometric_means():
    values = np.array([7.6, 9.0, 9.5, 10.2, 8.1])
    row = horizon(values)
    ln = np.log(values)
    low, high = np.exp(stats.t.interval(0.95, 4, ln.mean(), stats.sem(ln)))
    assert row["kind"] == "geometric mean"
    assert row["centre"] == pytest.approx(stats.gmean(values))
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    assert written(row) == "8.8 [7.6, 10.2]"


@pytest.mark.parametrize(
    ("values", "kind", "centre", "said"),
    [
        ([None] * 5, "lower limit", math.inf, "> 255"),
        ([120.0, 180.0, 90.0, None, None], "median", 180.0, "median 180 [90.0, > 255]"),
        ([120.0, 180.0, None, None, None], "lower limit", math.inf, "median > 255 [120, > 255]"),
        ([120.0, 180.0, 200.0, None], "median", math.sqrt(180 * 200), "median 190 [120, > 255]"),
        ([120.0, 180.0, None, None], "lower limit", math.inf, "median > 255 [120, > 255]"),
        ([12.0], "geometric mean", 12.0, "12.0 (n = 1)"),
        ([None], "lower limit", math.inf, "> 255"),
        ([math.nan, 12.0], "geometric mean", 12.0, "12.0 (n = 1)"),
        ([0.0, 3.0], "geometric mean", 0.0, "0.0"),
        ([254.9, 255.0], "geometric mean", math.sqrt(254.9 * 255), "255 [254, 256]"),
    ],
)
def test_censoring(values, kind, centre, said):
    row = horizon(values)
    assert (row["kind"], row["centre"]) == (kind, pytest.approx(centre))
    assert row["censored"] == sum(v is None for v in values)
    assert not row["censored"] or row["high"] == math.inf
    assert written(row) == said


def test_points_without_a_curve_are_no_seeds():
    assert horizon([math.nan, math.nan]) is None


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.01234, 2, "0.012"),
        (9.09, 2, "9.1"),
        (43.2, 2, "43"),
        (1290, 2, "1,290"),
        (-0.5, 2, "−0.50"),
        (0.99996, 3, "1.00"),
        (1.00004, 3, "1.00"),
        (0, 2, "0"),
        (math.nan, 2, "–"),
        (-math.inf, 2, "−∞"),
        (1.2e-7, 2, "1.2e−7"),
    ],
)
def test_numbers(value, digits, said):
    assert text.number(value, digits) == said


def test_powers_of_ten_never_leave_the_range():
    assert text.power_of_ten(-9210.34) == "10^−4,000.0"
    assert text.power_of_ten(math.log(0.034)) == "0.034"
    assert text.power_of_ten(-math.inf) == "0"


@pytest.mark.parametrize(
    ("gamma", "label"),
    [
        (1.0, "1"),
        (0.995, "0.995"),
        (1 / (1 + math.exp(-1)), "0.731"),
        (1 / (1 + math.exp(-5)), "0.9933"),
        (math.sqrt(2), "1.414"),
        (0.999999123456, "0.999999123"),
        (-2 / 3, "−0.667"),
    ],
)
def test_a_gamma_in_a_label_is_short_and_stays_on_its_side_of_one(gamma, label):
    assert text.short(gamma) == label
    assert (float(label.replace("−", "-")) < 1) is (gamma < 1)


def test_spread_of_equal_seeds_is_not_said():
    assert text.spread("1.0", "1.2", 3) == " [1.0, 1.2]"
    assert text.spread("1.1", "1.1", 3) == text.spread("–", "–", 3) == ""
    assert text.spread("–", "–", 1) == " (n = 1)"
