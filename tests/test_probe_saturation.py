"""Saturated and dead units, recomputed from the arrays of a trace."""

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, trace

DERIVATIVES = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "logistic": lambda z: reference.logistic(z) * reference.logistic(-z),
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "identity": np.ones_like,
}
SLOPES = {"tanh": 1.0, "logistic": 0.25, "relu": 1.0, "identity": 1.0}


def measured(point, **given):
    return row(point, probes=["saturation"], **given)


@pytest.mark.parametrize("cell", ["simple", "residual"])
@pytest.mark.parametrize("activation", DERIVATIVES)
def test_fractions_are_relative_to_the_largest_slope(activation, cell):
    point = Point(
        cell=cell, activation=activation, length=7, hidden_size=9, batch_size=5, input_scale=3.0, gamma=1.5
    )
    found, t = measured(point), trace(point)
    share = DERIVATIVES[activation](t.net_inputs) / SLOPES[activation]
    assert found["saturated_05_curve"] == pytest.approx((share < 0.05).mean(axis=(1, 2)))
    assert found["saturated_25_curve"] == pytest.approx((share < 0.25).mean(axis=(1, 2)))
    if activation in ("tanh", "logistic"):
        assert 0 < found["saturated_05_curve"][-1] < found["saturated_25_curve"][-1] < 1
    if activation == "relu":
        assert found["dead_units"] == pytest.approx((share == 0).all(axis=(0, 1)).mean())
    else:
        assert found["dead_units"] is None


@pytest.mark.parametrize("cell", ["memory", "lstm"])
def test_the_read_out_of_a_memory_cell_saturates(cell):
    point = Point(cell=cell, length=30, hidden_size=7, batch_size=4, input_scale=2.0)
    found, t = measured(point), trace(point)
    share = DERIVATIVES["tanh"](t.states[1:, :, -7:])
    assert found["saturated_05_curve"] == pytest.approx((share < 0.05).mean(axis=(1, 2)))
    assert found["saturated_25_curve"] == pytest.approx((share < 0.25).mean(axis=(1, 2)))
    assert found["saturated_25_curve"][-1] > 0


def test_units_that_never_wake_are_dead():
    N = 8
    b = np.where(np.arange(N) < 3, -1e3, 0.0)
    point = Point(activation="relu", length=40, hidden_size=N, batch_size=6)
    assert measured(point, parameters={"b": b})["dead_units"] == 3 / 8
    assert measured(point.replace(input="zero"))["dead_units"] == 1  # z = 0: the kink counts as no slope
    b = np.full(N, 0.1)
    assert (
        measured(point.replace(input="zero"), parameters={"b": b, "U": np.zeros((N, N))})["dead_units"] == 0
    )
