"""Fitting the rates of the cost model: from seconds that follow the model it finds the rates that made them."""

import re
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from longlag.benchmarks.calibration import Measured, design, fit, literal, residuals
from longlag.benchmarks.served import line
from longlag.workers import cost
from longlag.workers.cells import CELLS
from longlag.workers.cost import Rates

OTHER = {"flops": 0.5, "elements": 2.0, "step": 2.0, "point": 3.0, "numbers": 2.0, "single": 0.8}
TRUE = replace(
    cost.RATES,
    **{name: float(f"{factor * getattr(cost.RATES, name):.2g}") for name, factor in OTHER.items()},
)


def measured(rates: Rates, noise: float = 0.0) -> list[Measured]:
    rng = np.random.default_rng(0)
    return [
        Measured(one, cost.seconds(one.point, one.probes, rates) * np.exp(noise * rng.standard_normal()), 0.0)
        for one in design()
    ]


def test_rates_are_found_again() -> None:
    found = measured(TRUE)
    rates = fit(found)
    before, after = residuals(found, cost.RATES), residuals(found, rates)
    assert before.std() > 0.2
    assert np.abs(after).max() < 0.1
    for name in ("flops", "elements", "step", "point", "single"):
        assert getattr(rates, name) == pytest.approx(getattr(TRUE, name), rel=0.3), name


def test_noise_stays_in_the_residuals() -> None:
    found = measured(TRUE, noise=0.2)
    rates = fit(found)
    assert residuals(found, rates).std() == pytest.approx(0.2, rel=0.35)
    assert residuals(found, rates).mean() == pytest.approx(0, abs=0.05)


def test_rates_that_are_right_stay() -> None:
    rates = fit(measured(cost.RATES))
    for name, value in asdict(rates).items():
        assert value == pytest.approx(getattr(cost.RATES, name), rel=0.06), name  # two digits


def test_what_is_printed_is_what_stands_in_the_code() -> None:
    space: dict[str, object] = {"Rates": Rates}
    exec(literal(TRUE), space)
    assert space["RATES"] == TRUE
    text = Path(cost.__file__).read_text(encoding="utf-8")
    there = re.search(r"^RATES = Rates\(\n.*?^\)", text, re.MULTILINE | re.DOTALL)
    assert there
    exec(there[0], space)
    assert space["RATES"] == cost.RATES
    assert set(re.findall(r"(\w+)=", there[0])) == {field.name for field in fields(Rates)}


def test_the_design_has_cells_types_loss_times_and_probes() -> None:
    shapes = design()
    points = [shape.point for shape in shapes]
    assert {point.cell for point in points} >= {"simple", "lstm", "gru", "linear", "memory"} <= set(CELLS)
    assert {point.dtype for point in points} == {"float64", "float32"}
    assert {str(point.loss_times) for point in points} >= {"last", "every"}
    assert len({shape.probes for shape in shapes}) >= 5
    assert len(shapes) == len({(shape.point, shape.probes) for shape in shapes})
    assert 0 < len(design(quick=True)) < len(shapes) / 4


def test_a_line_through_seconds_by_rows() -> None:
    assert line([1, 10, 100, 1000], [3 + 0.5 * n for n in (1, 10, 100, 1000)]) == pytest.approx((3, 0.5))
    assert line([1, 10, 100], [2.0, 2.0, 2.0]) == pytest.approx((2, 0))
    assert min(line([1, 10, 100], [1.0, 0.5, 0.1])) >= 0
