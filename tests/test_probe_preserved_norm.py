"""Preserved norm: recomputed from the error terms of a trace, and orthogonal networks in closed form."""

import numpy as np
import pytest
from helpers import row
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS


def measured(point, **given):
    return row(point, probes=["preserved_norm"], **given)


def ratios(t):
    """Dict (t, ℓ, column) -> ρ, and the columns (t, b) that have any."""
    found = {}
    for r, end in enumerate(t.loss_times):
        for lag in range(1, end):
            for b in range(t.ln_norms.shape[2]):
                after, here = t.ln_norms[r, end - lag, b], t.ln_norms[r, end - lag - 1, b]
                if np.isfinite(after):
                    found[end, lag, b] = float(np.exp(here - after))
    return found, {(end, b) for end, _, b in found}


@pytest.mark.parametrize("loss_times", ["last", "3", "every"])
@pytest.mark.parametrize("cell", CELLS)
def test_both_forms_are_sums_over_steps_and_means_over_columns_and_times(cell, loss_times):
    point = Point(cell=cell, length=12, hidden_size=6, batch_size=4, loss_times=loss_times)
    found = measured(point)
    by, rows = ratios(trace(point))
    assert found["preserved_lag"] == list(range(1, 12))
    for lag, value in zip(found["preserved_lag"], found["preserved_norm"], strict=True):
        assert value == pytest.approx(np.mean([v for (_, k, _), v in by.items() if k == lag]), rel=1e-11)
    values = np.array(list(by.values()))
    assert found["omega"] == pytest.approx(((values - 1) ** 2).sum() / len(rows), rel=1e-10, abs=1e-25)
    wanted = ((values**2 - 1) ** 2).sum() / len(rows)
    assert found["omega_squared_form"] == pytest.approx(wanted, rel=1e-10, abs=1e-25)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0, 1.2])
def test_an_orthogonal_linear_network_multiplies_every_norm_by_gamma(gamma):
    T = 2000
    point = Point(activation="identity", gamma=gamma, length=T, hidden_size=5, batch_size=2, input="zero")
    found = measured(point)
    np.testing.assert_allclose(found["preserved_norm"], gamma, rtol=1e-11)
    assert len(found["preserved_lag"]) < T - 1  # all to 1,024, then some
    assert found["omega"] == pytest.approx((T - 1) * (gamma - 1) ** 2, rel=1e-9, abs=1e-20)
    assert found["omega_squared_form"] == pytest.approx((T - 1) * (gamma**2 - 1) ** 2, rel=1e-9, abs=1e-20)


def test_a_step_that_kills_counts_and_what_is_dead_does_not():
    found = measured(Point(gamma=0.0, length=6, hidden_size=3, batch_size=2))
    assert found["preserved_norm"][0] == 0
    assert np.isnan(found["preserved_norm"][1:]).all()
    assert found["omega"] == found["omega_squared_form"] == 1


def test_a_sequence_of_one_step_has_no_ratio():
    found = measured(Point(length=1, hidden_size=3))
    assert found["preserved_lag"] == found["preserved_norm"] == []
    assert found["omega"] is found["omega_squared_form"] is None


def test_a_ratio_beyond_range_is_null():
    # the last step is so saturated that its error term is e^−800; the one before it comes by the straight path
    x = np.array([0.0, 0.0, 400.0])[:, None, None]
    arrays = {"U": np.zeros((1, 1)), "W": np.ones((1, 1)), "b": np.zeros(1)}
    point = Point(cell="residual", leak=0.5, length=3, hidden_size=1, input_size=1, batch_size=1)
    found = measured(point, parameters=arrays, inputs=x)
    assert np.isnan(found["preserved_norm"][0])
    assert found["preserved_norm"][1] == pytest.approx(0.5, rel=1e-14)
    assert found["omega"] is found["omega_squared_form"] is None
    assert np.diff(trace(point, arrays, x).ln_norms[0, :, 0])[1] == pytest.approx(np.log(8) - 800, rel=1e-12)
