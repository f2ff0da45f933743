"""Lags of ten thousand, and the edges of the floating-point range: every norm is a logarithm."""

import re
from fractions import Fraction
from math import ceil, log

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, measure, trace
from longlag.workers.cells import CELLS

LAG = 10_000


def double(t):
    return {name: np.asarray(value, dtype=float) for name, value in t.parameters.items()}


def ln_fraction(x):
    """ln of a positive fraction of any size."""
    return log(x.numerator) - log(x.denominator)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", ["memory", "simple", "residual", "diagonal"])
def test_quiet_network_at_lag_ten_thousand(cell, dtype):
    # no input: the state stays zero, f' is 1 everywhere and r(ℓ) = ℓ ln γ, for the residual cell with U ∝ 1
    own = dict(weights="identity") if cell == "residual" else {}
    own |= dict(activation="identity") if cell == "simple" else {}
    own |= dict(rho_min=1.0) if cell == "diagonal" else {}
    shape = dict(length=LAG + 1, hidden_size=4, batch_size=1, input="zero", dtype=dtype)
    # float32: one rounding a step, and those of U itself
    per_step = 1e-14 if dtype == "float64" else 2e-7
    gammas = (0.5, 1.5)
    points = [Point(cell=cell, gamma=gamma, **own, **shape) for gamma in gammas]
    for gamma, found in zip(gammas, measure(points, probes=("curves",)).to_pylist(), strict=True):
        lag = np.array(found["lag"])
        assert lag[-1] == LAG
        for kind in ("delta", "adjoint"):
            assert np.all(np.abs(np.array(found[kind]) - lag * log(gamma)) <= per_step * lag), kind
        assert found["status"] == "ok"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_measured_curves_and_fits_at_lag_ten_thousand(dtype):
    shape = dict(length=LAG + 1, hidden_size=3, batch_size=1, input="zero", dtype=dtype)
    points = [Point(cell="linear", gamma=gamma, **shape) for gamma in (0.5, 0.999, 1.5)]
    for point, found in zip(points, measure(points).to_pylist(), strict=True):
        gamma = float(np.dtype(dtype).type(point.gamma))
        lag, ln_gamma = np.array(found["lag"]), log(gamma)
        assert lag[-1] == LAG
        assert (np.diff(lag) >= 1).all()
        np.testing.assert_array_equal(lag[:1025], np.arange(1025))
        assert np.diff(np.log10(lag[1024:])).max() <= 1.02 / 64 + 1 / 1024
        rtol = 1e-12 if dtype == "float64" else 1e-6
        for kind in ("delta", "adjoint", "bound"):
            np.testing.assert_allclose(found[kind], lag * ln_gamma, rtol=rtol, atol=rtol, err_msg=kind)
        assert found["decay_rate"] == pytest.approx(ln_gamma, rel=rtol)
        assert found["ln_ratio_end"] == pytest.approx(LAG * ln_gamma, rel=rtol)
        assert found["gamma_realised"] == pytest.approx(gamma, rel=rtol)
        assert found["decay_r2"] == pytest.approx(1, abs=1e-6)
        if gamma < 1:
            assert found["half_life"] == pytest.approx(log(0.5) / ln_gamma, rel=1e-3)
            assert found["horizon_1_last"] == ceil(log(0.01) / ln_gamma)
        else:
            assert found["horizon_10_censored"]
            assert found["horizon_10"] is None


BOUNDED = [
    dict(gamma=0.5),
    dict(gamma=1.5),
    dict(activation="logistic", gamma=1.5),
    dict(cell="residual", gamma=1.5),
    dict(cell="lstm", gamma=0.5),
    dict(cell="gru", gamma=0.5),
    dict(cell="lstm_peephole", gamma=0.5),
    dict(cell="lstm_1997", gamma=0.9, gradient="truncated"),
    dict(cell="mingru", gamma=0.5),
    dict(gamma=1.5, dtype="float32"),
    dict(cell="lstm", gamma=0.5, dtype="float32"),
]


@pytest.mark.parametrize("options", BOUNDED, ids=lambda o: "-".join(map(str, o.values())))
def test_bounded_network_at_lag_ten_thousand(options):
    # each step of the forward sweep is checked by itself, then the backward sweep on the very states it used:
    # a chaotic network makes two forward sweeps differ, however right both are
    point = Point(**options, length=LAG + 1, hidden_size=3, input_size=2, batch_size=1)
    t = trace(point)
    p, x, states = double(t), t.inputs.astype(float), t.states.astype(float)
    eps = np.finfo(point.dtype).eps
    still = np.zeros((LAG + 1, t.net_inputs.shape[-1]))
    step, _ = reference.STEPS[point.cell](point, p, states[:-1, 0], x[:, 0], still)
    np.testing.assert_allclose(states[1:, 0], step, rtol=0, atol=40 * eps)
    _, logs, _, adjoint = reference.products(point, p, states, x, t.targets, LAG + 1)
    lag = LAG - np.arange(LAG + 1)[:, None]
    # where a vector nearly cancels in a step, its roundings grow: 2.3e4 for the logistic network here, and
    # 1.6e4 for the reference itself where the last bits of its U and states are moved once
    allowed = (4 * lag + 4e4) * eps + 4 * np.spacing(np.abs(logs))
    assert np.all(np.abs(t.ln_norms[0] - logs) <= allowed)
    assert np.all(np.abs(t.ln_adjoint_norms[0] - adjoint) <= allowed)
    assert t.status == "ok"


@pytest.mark.parametrize(("dtype", "step"), [("float64", 1750), ("float32", 219)])
def test_overflow_of_the_state_names_its_step(dtype, step):
    # h_t = 1.5 h + 1 = 2 (1.5^t − 1): the first step beyond the largest number, in exact arithmetic
    largest, h, t = Fraction(float(np.finfo(dtype).max)), Fraction(0), 0
    while h <= largest:
        h, t = Fraction(3, 2) * h + 1, t + 1
    assert abs(t - step) <= 1  # written out so that nobody has to run this to know
    step = t
    shape = dict(hidden_size=1, input_size=1, output_size=1, batch_size=1, dtype=dtype)
    point = Point(activation="identity", length=step + 40, **shape)
    p = dict(U=[[1.5]], W=[[1.0]], b=[1.0], V=[[1.0]], d=[0.0])
    x = np.zeros((point.length, 1, 1))
    found = row(point, parameters=p, inputs=x)
    assert found["status"] == "overflow"
    assert str(step) in re.findall(r"\d+", found["status_detail"])
    t = trace(point, parameters=p, inputs=x)
    assert t.status == "overflow"
    assert not any(np.isnan(value).any() for value in t.gradients.values())
    curve = np.array(found["adjoint"])
    assert np.isfinite(curve).all()
    np.testing.assert_allclose(curve, np.array(found["lag"]) * log(1.5), rtol=1e-6, atol=1e-6)
    assert found["lag"][-1] <= step - 1
    just = Point(activation="identity", length=step - 1, **shape)
    assert row(just, parameters=p, inputs=x[: step - 1])["status"] == "ok"


def test_overflow_leaves_earlier_losses_and_the_neighbours_alone():
    shape = dict(activation="identity", length=400, hidden_size=2, dtype="float32", loss_times="8")
    points = [Point(gamma=gamma, **shape) for gamma in (0.9, 1.5, 1.1)]
    rows = measure(points).to_pylist()
    assert [found["status"] for found in rows] == ["ok", "overflow", "ok"]
    assert len(rows[1]["lag"]) < len(rows[0]["lag"])
    np.testing.assert_allclose(rows[1]["adjoint"], np.array(rows[1]["lag"]) * log(1.5), rtol=1e-5, atol=1e-5)


def scalar_chain(T, a, x1, target):
    """Exact gradients of h_t = a h + w x, an impulse x1 at step 1, last loss ½(h_T − y)²; w = 1."""
    a, x1, target = (Fraction(v) for v in (a, x1, target))
    error = a ** (T - 1) * x1 - target
    return {
        "U": error * (T - 1) * a ** (T - 2) * x1,
        "W": error * a ** (T - 1) * x1,
        "b": error * (a**T - 1) / (a - 1),
    }


@pytest.mark.parametrize(("a", "impulse", "T"), [(1.5, 1e-300, 1900), (0.5, 1e300, 1900), (0.5, 1.0, 1000)])
def test_gradients_keep_their_size_where_error_terms_leave_the_range(a, impulse, T):
    # 1.5^1900 is 1e334, and the states have to stay in range
    point = Point(activation="identity", length=T, hidden_size=1, input_size=1, output_size=1, batch_size=1)
    x = np.zeros((T, 1, 1))
    x[0] = impulse
    p = dict(U=[[a]], W=[[1.0]], b=[0.0], V=[[1.0]], d=[0.0])
    t = trace(point, parameters=p, inputs=x)
    found = row(point, parameters=p, inputs=x)
    for name, wanted in scalar_chain(T, a, impulse, float(t.targets[-1, 0, 0])).items():
        measured = found[f"ln_grad_norm_{name}"]
        assert measured == pytest.approx(ln_fraction(abs(wanted)), rel=1e-12, abs=1e-11), name
        gradient = float(np.ravel(t.gradients[name])[0])
        if abs(wanted) > Fraction(float(np.finfo(float).max)):
            assert gradient == (np.inf if wanted > 0 else -np.inf), name
        elif abs(wanted) > Fraction(1e-307):
            assert gradient == pytest.approx(float(wanted), rel=1e-11), name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", ["linear", "simple", "memory"])
def test_gradient_of_an_impulse_long_ago_keeps_its_size(cell, dtype):
    # one δ xᵀ that is not zero, 2^−T smaller than the error terms that met zero inputs
    own = dict(activation="identity") if cell == "simple" else {}
    shape = dict(length=2000, hidden_size=3, input_size=2, batch_size=1, dtype=dtype)
    point = Point(cell=cell, gamma=0.5, input="impulse", **own, **shape)
    t = trace(point)
    found = row(point)
    x = t.inputs[0, 0].astype(float)
    size = np.linalg.norm(x if cell == "simple" else np.tanh(x))
    wanted = t.ln_norms[0, 0, 0] + log(size)
    assert wanted < -1300
    assert found["ln_grad_norm_W"] == pytest.approx(wanted, rel=1e-13 if dtype == "float64" else 1e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_no_gradient_is_ever_nan(cell):
    own = dict(weights="identity", activation="identity") if cell in ("simple", "residual") else {}
    gamma = 1.5 if CELLS[cell].keep_gate is None else 0.9
    point = Point(cell=cell, gamma=gamma, length=3000, hidden_size=2, batch_size=1, input="zero", **own)
    t = trace(point)
    for name, gradient in t.gradients.items():
        assert not np.isnan(gradient).any(), name


def test_saturated_units_far_beyond_the_range():
    # c = (2000, 1500): 1 − tanh² is e^−4000 and e^−3000; the error term points along the second, at once
    point = Point(
        cell="memory", activation="identity", gamma=1.0, length=100, hidden_size=2, input_size=1, batch_size=1
    )
    p = dict(a=1.0, W=[[20.0], [15.0]], V=np.ones((4, 2)), d=np.zeros(4))
    t = trace(point, parameters=p, inputs=np.ones((100, 1, 1)))
    pull = (t.outputs[-1] - t.targets[-1]).sum()
    np.testing.assert_allclose(t.ln_norms[0], log(abs(pull)) + log(4) - 3000, rtol=1e-14)
    np.testing.assert_array_equal(t.error_terms[0, :, 0, 0], 0.0)
    assert t.status == "ok"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("activation", "per_z"), [("tanh", 2), ("logistic", 1)])
def test_a_deeply_saturated_network_loses_hundreds_of_decades_a_step(activation, per_z, dtype):
    z, T = 500.0, 60
    point = Point(activation=activation, length=T, hidden_size=3, input_size=1, batch_size=1, dtype=dtype)
    p = dict(U=0.25 * np.eye(3), W=np.zeros((3, 1)), b=np.full(3, z), V=np.ones((4, 3)), d=np.zeros(4))
    t = trace(point, parameters=p, inputs=np.zeros((T, 1, 1)))
    lag = T - np.arange(1, T + 1)
    slope = (log(4) if per_z == 2 else 0.0) - per_z * t.net_inputs[:, 0, 0].astype(float)
    after = np.cumsum(slope[::-1])[::-1] - slope[-1]
    found = t.ln_norms[0, :, 0] - t.ln_norms[0, -1, 0]
    np.testing.assert_allclose(found, after + lag * log(0.25), rtol=1e-12 if dtype == "float64" else 1e-6)
    assert found[0] < -25_000


def test_gradients_of_the_diagonal_cell_near_the_end_of_the_range():
    # products of states of 1e307 and error terms overflow; the sums keep their size all the same
    T, a, impulse = 1900, 1.5, 1e-27
    point = Point(cell="diagonal", length=T, hidden_size=2, input_size=1, output_size=1, batch_size=1)
    x = np.zeros((T, 1, 1))
    x[0] = impulse
    p = dict(rho=[a], theta=[0.0], W=[[1.0], [0.0]], b=[0.0, 0.0], V=[[1.0, 0.0]], d=[0.0])
    found, t = row(point, parameters=p, inputs=x), trace(point, parameters=p, inputs=x)
    wanted = scalar_chain(T, a, impulse, float(t.targets[-1, 0, 0]))["U"]
    assert found["status"] == "ok"
    assert found["ln_grad_norm_rho"] == pytest.approx(ln_fraction(abs(wanted)), rel=1e-12)
