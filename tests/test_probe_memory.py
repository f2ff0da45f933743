"""Memory function and capacity: Jaeger's theorem, the exact function of a linear network, and least squares."""

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS


def measured(point, **given):
    return row(point, probes=["memory"], **given)


def exactly_white(T):
    """Inputs (T, 2T, 1): in column 2j + 1 a unit impulse at step j, in column 2j + 2 its negative."""
    inputs = np.zeros((T, 2 * T, 1))
    for step in range(T):
        inputs[step, 2 * step], inputs[step, 2 * step + 1] = 1.0, -1.0
    return inputs


def exact_function(A, v, lags):
    """MC_k = vᵀ A^kᵀ C⁻¹ A^k v, C = Σ_j A^j v vᵀ A^jᵀ, of h ← A h + v u with white u and forever behind it."""
    powers = [v]
    for _ in range(2000):
        powers.append(A @ powers[-1])
    powers = np.array(powers)
    C = powers.T @ powers
    return np.array([p @ np.linalg.solve(C, p) for p in powers[lags]])


@pytest.mark.parametrize("N", [5, 10, 15])
def test_23_orthogonal_networks_have_a_capacity_of_exactly_N(N):
    T = 400
    point = Point(activation="identity", gamma=0.9, length=T, hidden_size=N, input_size=1, batch_size=2 * T)
    given = dict(inputs=exactly_white(T))
    found = measured(point, **given)
    assert found["memory_capacity_raw"] == pytest.approx(N, abs=1e-9)
    assert found["memory_rank"] == N
    p = trace(point, **given).parameters
    wanted = exact_function(p["U"], p["W"][:, 0], found["memory_lag"])
    np.testing.assert_allclose(found["memory_function_raw"], wanted, rtol=0, atol=1e-9)


def test_gaussian_inputs_give_the_exact_function_within_sampling_error():
    point = Point(
        activation="identity", gamma=0.9, length=2000, hidden_size=8, input_size=1, batch_size=16, seed=2
    )
    found, p = measured(point), trace(point).parameters
    lags, samples = len(found["memory_lag"]), (2000 - 256) * 16
    assert found["memory_lag"] == list(range(257))
    wanted = exact_function(p["U"], p["W"][:, 0], found["memory_lag"])
    np.testing.assert_allclose(found["memory_function"], wanted, rtol=0, atol=5 / np.sqrt(samples))
    assert found["memory_capacity"] == pytest.approx(8, abs=8 * 5 / np.sqrt(samples))
    assert found["memory_bias"] == pytest.approx(8 / samples, rel=1e-4)
    excess = found["memory_capacity_raw"] - found["memory_capacity"]
    assert excess == pytest.approx((lags - 8) * 8 / samples, rel=1e-2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_lag_is_a_least_squares_fit(cell, dtype):
    T, B, M = 50, 3, 2
    point = Point(
        cell=cell, length=T, hidden_size=4, input_size=M, batch_size=B, gamma=0.9, loss_times="2", dtype=dtype
    )
    found, t = measured(point), trace(point)
    most, n = 25, 25 * B
    assert found["memory_lag"] == list(range(most + 1))
    parameters = {name: np.asarray(a, np.float64) for name, a in t.parameters.items()}
    h = reference.hidden(point, parameters, np.asarray(t.states[1 + most :], np.float64)).reshape(n, -1)
    u = np.asarray(t.inputs, np.float64)
    h = h - h.mean(axis=0)
    rank = np.linalg.matrix_rank(h, rtol=1e-6)
    assert found["memory_rank"] == rank
    for k in found["memory_lag"]:
        target = u[most - k : T - k].reshape(n, M)
        target = target - target.mean(axis=0)
        left = target - h @ np.linalg.lstsq(h, target, rcond=1e-6)[0]
        r2 = 1 - (left**2).sum(axis=0) / (target**2).sum(axis=0)
        tolerance = 1e-11 if dtype == "float64" else 1e-5
        assert found["memory_function_raw"][k] == pytest.approx(r2.sum(), abs=tolerance)
        adjusted = 1 - (1 - r2) * (n - 1) / (n - rank - 1)
        assert found["memory_function"][k] == pytest.approx(adjusted.sum(), abs=tolerance)
    assert found["memory_capacity"] == pytest.approx(sum(found["memory_function"]), abs=1e-11)
    assert found["memory_capacity_raw"] == pytest.approx(sum(found["memory_function_raw"]), abs=1e-11)
    assert found["memory_bias"] == pytest.approx(M * rank / (n - 1), rel=1e-14)


@pytest.mark.parametrize("law", ["zero", "impulse"])
def test_inputs_that_do_not_vary_have_no_memory_function(law):
    found = measured(Point(input=law, length=12, hidden_size=3))
    assert found["memory_capacity"] is found["memory_capacity_raw"] is found["memory_bias"] is None
    assert np.isnan(found["memory_function"]).all()
    assert found["memory_rank"] == (0 if law == "zero" else 3)


def test_a_constant_input_is_left_out():
    one = Point(length=60, hidden_size=3, input_size=1, batch_size=2)
    two = one.replace(input_size=2)
    varying = np.random.default_rng(4).standard_normal((60, 2, 1))
    W = np.random.default_rng(5).standard_normal((3, 1))
    wanted = measured(one, inputs=varying, parameters={"W": W, "b": 0.7 * W[:, 0]})
    constant = np.full_like(varying, 0.7)
    found = measured(
        two, inputs=np.concatenate([varying, constant], axis=2), parameters={"W": np.repeat(W, 2, axis=1)}
    )
    np.testing.assert_allclose(found["memory_function"], wanted["memory_function"], rtol=0, atol=1e-12)
    assert found["memory_bias"] == wanted["memory_bias"]


def test_with_no_more_samples_than_units_there_is_nothing_to_correct():
    found = measured(Point(length=16, hidden_size=20, input_size=2, batch_size=1, weights="gaussian"))
    assert found["memory_rank"] == 7  # eight samples less their mean
    np.testing.assert_allclose(found["memory_function_raw"], 2.0, rtol=0, atol=1e-11)
    assert found["memory_capacity"] is None
    assert np.isnan(found["memory_function"]).all()


def test_large_states_have_the_memory_of_small_ones():
    point = Point(cell="linear", activation="identity", gamma=0.8, length=40, hidden_size=2, batch_size=3)
    W = np.random.default_rng(6).standard_normal((2, 4))
    rows = [measured(point, parameters={"W": scale * W}) for scale in (1.0, 2.0**600, 2.0**-600)]
    assert rows[0]["memory_function"] == rows[1]["memory_function"] == rows[2]["memory_function"]
