"""γ_path, the Lyapunov spectrum and the singular values by lag, against Jacobians by complex step."""

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, jacobian, measure, trace
from longlag.workers.cells import CELLS
from longlag.workers.kernel import Task, run
from longlag.workers.probes.lyapunov import kaplan_yorke
from longlag.workers.probes.window import window

PROBES = ("curves", "path", "lyapunov", "jacobian")
SMALL = dict(hidden_size=4, input_size=3, output_size=2, batch_size=2)


def jacobians(point, column=0):
    """J_t (T,S,S) along the point's own trajectory, by complex step on the textbook step."""
    one = trace(point)
    step, S = reference.STEPS[point.cell], one.states.shape[-1]
    found = np.empty((point.length, S, S))
    for t in range(point.length):
        state = np.repeat(one.states[t, column][None], S, axis=0) + 1j * reference.H * np.eye(S)
        x = np.repeat(one.inputs[t, column][None], S, axis=0)
        push = np.zeros((S, one.net_inputs.shape[-1]))
        found[t] = step(point, one.parameters, state, x, push)[0].imag.T / reference.H
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_path_and_spectrum_are_those_of_the_jacobians(cell):
    point = Point(cell=cell, length=40, gamma=0.8, **SMALL)
    found = row(point, probes=PROBES)
    first, last = window(point.length)
    assert (found["lyapunov_first_step"], found["lyapunov_last_step"]) == (first, last) == (11, 30)
    paths, spectra = [], []
    for column in range(2):
        J = jacobians(point, column)
        paths.append(np.log(np.linalg.svd(J[first - 1 : last], compute_uv=False)[:, 0]).mean())
        rows, total = np.eye(J.shape[-1]), 0.0
        for t in range(point.length, first - 1, -1):
            Q, R = np.linalg.qr((rows @ J[t - 1]).T)
            rows = Q.T
            total = total + (np.log(np.abs(np.diag(R))) if t <= last else 0.0)
        spectra.append(total / (last - first + 1))
    assert found["gamma_path"] == pytest.approx(np.exp(np.mean(paths)), rel=1e-12)
    wanted = -np.sort(-np.mean(spectra, axis=0))
    np.testing.assert_allclose(found["lyapunov_spectrum"], wanted, rtol=1e-9, atol=1e-9)
    assert found["gamma_lyapunov"] == pytest.approx(np.exp(wanted[0]), rel=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_singular_values_are_those_of_the_product(cell):
    point = Point(cell=cell, length=25, gamma=0.9, **SMALL)
    found = row(point, probes=PROBES)
    lags = found["jacobian_lag"]
    assert lags == [*range(1, 17), 18, 21, 24][: len(lags)]
    J = [jacobians(point, column) for column in range(2)]
    S = J[0].shape[-1]
    for i, lag in enumerate(lags):
        products = [np.linalg.multi_dot([np.eye(S), *one[::-1][:lag], np.eye(S)]) for one in J]
        sigma = np.array([np.linalg.svd(product, compute_uv=False) for product in products])
        well = sigma[:, -1] > 1e-9 * sigma[:, 0]
        assert found["jacobian_ln_max"][i] == pytest.approx(np.log(sigma[:, 0]).mean(), rel=1e-9, abs=1e-9)
        share = sigma / sigma.sum(axis=1, keepdims=True)
        entropy = -(share * np.log(share, where=share > 0, out=np.zeros_like(share))).sum(axis=1)
        assert found["jacobian_rank"][i] == pytest.approx(np.exp(entropy).mean(), rel=1e-7)
        if well.all():
            wanted = np.log(sigma).mean(axis=0)
            np.testing.assert_allclose(found["jacobian_ln_singular"][i * S : (i + 1) * S], wanted, atol=1e-6)
            assert found["jacobian_ln_condition"][i] == pytest.approx(wanted[0] - wanted[-1], abs=1e-6)
            assert found["jacobian_resolved"][i] == S


@pytest.mark.parametrize("cell", CELLS)
def test_lyapunov_is_below_path_and_path_below_nominal_where_the_bound_is_a_theorem(cell):
    points = [
        Point(cell=cell, gamma=gamma, length=length, hidden_size=8, seed=seed, input_scale=scale)
        for gamma in (0.3, 0.9, 0.999)
        for length in (7, 60)
        for seed in (0, 1)
        for scale in (0.0, 3.0)
        if not (cell == "residual" and gamma < 0.5)
    ]
    rows = measure(points, probes=("path", "lyapunov")).to_pylist()
    assert len(rows) >= 16
    for found in rows:
        assert np.log(found["gamma_lyapunov"]) <= np.log(found["gamma_path"]) + 1e-12
        if "adjoint" in CELLS[cell].bounded:
            assert np.log(found["gamma_path"]) <= np.log(found["gamma_nominal"]) + 1e-12


def test_the_sum_of_the_spectrum_is_the_mean_determinant():
    # Σλ_i = ln|det U| + ⟨Σ ln f'(z_i)⟩ along the trajectory (Liouville)
    point = Point(length=200, hidden_size=12, weights="gaussian", gamma=1.3, gamma_kind="gain", batch_size=3)
    found, one = row(point, probes=PROBES), trace(point)
    first, last = window(200)
    ln_slopes = -2 * np.log(np.cosh(one.net_inputs[first - 1 : last])).sum(axis=-1).mean()
    wanted = np.linalg.slogdet(one.parameters["U"])[1] + ln_slopes
    assert sum(found["lyapunov_spectrum"]) == pytest.approx(wanted, rel=1e-11)
    lag = found["jacobian_lag"][-1]
    all_slopes = -2 * np.log(np.cosh(one.net_inputs[-lag:])).sum(axis=(0, 2)).mean()
    whole = (lag * np.linalg.slogdet(one.parameters["U"])[1] + all_slopes) / 12
    assert found["jacobian_ln_mean"][-1] == pytest.approx(whole, rel=1e-11)
    assert found["jacobian_ln_condition"][-1] is None or np.isnan(found["jacobian_ln_condition"][-1])


def test_a_linear_network_has_the_spectrum_of_its_matrix():
    found = row(Point(activation="identity", gamma=0.9, length=400, hidden_size=16), probes=PROBES)
    np.testing.assert_allclose(found["lyapunov_spectrum"], np.log(0.9), atol=1e-12)
    np.testing.assert_allclose(
        np.array(found["jacobian_ln_max"]), np.log(0.9) * np.array(found["jacobian_lag"]), atol=1e-11
    )
    n = 4000
    ginibre = Point(
        activation="identity", weights="gaussian", gamma=0.9, length=n, hidden_size=8, batch_size=1
    )
    one = row(ginibre, probes=PROBES)
    U = trace(ginibre).parameters["U"]
    wanted = np.sort(np.log(np.abs(np.linalg.eigvals(U))))[::-1]
    steps = one["lyapunov_last_step"] - one["lyapunov_first_step"] + 1
    np.testing.assert_allclose(one["lyapunov_spectrum"], wanted, atol=30 / steps)


def test_products_beyond_every_range_keep_their_logarithms():
    found = row(
        Point(activation="identity", gamma=0.5, length=8000, hidden_size=3, batch_size=1, input="zero"),
        probes=("jacobian",),
    )
    np.testing.assert_allclose(
        found["jacobian_ln_max"], np.log(0.5) * np.array(found["jacobian_lag"]), rtol=1e-12
    )
    np.testing.assert_allclose(found["jacobian_ln_mean"], found["jacobian_ln_max"], rtol=1e-12)
    np.testing.assert_allclose(found["jacobian_rank"], 3.0, rtol=1e-12)


def test_a_graded_product_says_where_its_singular_values_end():
    decays = np.array([1.0, 0.5, 0.1])
    point = Point(activation="identity", length=60, hidden_size=3, batch_size=1)
    found = row(point, probes=("jacobian", "lyapunov"), parameters={"U": np.diag(decays)})
    np.testing.assert_allclose(found["lyapunov_spectrum"], np.log(decays), atol=1e-14)
    for i, lag in enumerate(found["jacobian_lag"]):
        values = found["jacobian_ln_singular"][3 * i : 3 * i + 3]
        alive = lag * np.log(decays) > np.log(1e-12)
        assert found["jacobian_resolved"][i] == alive.sum()
        np.testing.assert_allclose(np.array(values, float)[alive], lag * np.log(decays[alive]), atol=1e-4)
        assert np.isnan(np.array(values, float)[~alive]).all()
        assert found["jacobian_ln_mean"][i] == pytest.approx(lag * np.log(decays).mean(), abs=1e-12)


def test_products_of_several_jacobians_have_the_values_of_single_ones(monkeypatch):
    points = [
        Point(cell=cell, length=90, hidden_size=6, gamma=gamma, batch_size=2, dtype=dtype)
        for cell in ("simple", "gru", "lstm", "residual")
        for gamma in (0.6, 0.95)
        for dtype in ("float64", "float32")
    ]
    together = [measure(point, probes=("lyapunov", "jacobian")).to_pylist()[0] for point in points]
    monkeypatch.setattr(jacobian, "_TOGETHER", (1,))
    for point, found in zip(points, together, strict=True):
        one = measure(point, probes=("lyapunov", "jacobian")).to_pylist()[0]
        near = 1e-12 if point.dtype == "float64" else 1e-5
        for name in ("lyapunov_spectrum", "jacobian_ln_max", "jacobian_ln_mean", "jacobian_rank"):
            np.testing.assert_allclose(found[name], one[name], rtol=near, atol=near)


def test_how_many_jacobians_go_together_is_each_points_own_matter(monkeypatch):
    point = Point(activation="identity", length=70, hidden_size=3, batch_size=1)
    own = [{"U": np.diag(decays)} for decays in ([1.0, 0.9, 0.8], [1.0, 0.5, 0.1], [1.0, 0.5, 1e-9])]
    points = [point.replace(seed=seed) for seed in range(3)]
    counts, factors = [], jacobian.factors

    def counted(*arguments):
        for found in factors(*arguments):
            counts[-1] += 1
            yield found

    monkeypatch.setattr(jacobian, "factors", lambda *given: counts.append(0) or counted(*given))
    alone = []
    for one, parameters in zip(points, own, strict=True):
        alone.append(row(one, probes=("lyapunov",), parameters=parameters)["lyapunov_spectrum"])
    assert len(counts) == 1 + 3 + 4  # tried: 8; 8, 4, 2; 8, 4, 2, 1
    assert counts[0] < counts[3] < counts[7]
    tasks = [Task(one, parameters) for one, parameters in zip(points, own, strict=True)]
    stacked = [part.columns["lyapunov_spectrum"] for part in run(tasks, ("lyapunov",))]
    assert np.concatenate(stacked).tolist() == alone


def test_a_dead_unit_has_no_growth():
    point = Point(activation="relu", length=40, hidden_size=3, batch_size=1)
    p = {"U": 0.9 * np.eye(3), "W": np.zeros((3, 4)), "b": [1.0, 1.0, -1.0]}
    found = row(point, probes=("path", "lyapunov"), parameters=p)
    np.testing.assert_allclose(found["lyapunov_spectrum"][:2], np.log(0.9))
    assert np.isneginf(found["lyapunov_spectrum"][2])
    assert found["gamma_path"] == pytest.approx(0.9)


@pytest.mark.parametrize(("spectrum", "wanted"), [
    ([-1.0, -2.0], 0), ([1.0, -2.0], 1.5), ([1.0, -1.0, -4.0], 2), ([2.0, 1.0], 2),
    ([1.0, 0.5, -0.5, -2.0], 3.5), ([1.0, -np.inf], 1),
])  # fmt: skip
def test_kaplan_yorke_dimension(spectrum, wanted):
    assert kaplan_yorke(np.array(spectrum)) == wanted
    assert np.isnan(kaplan_yorke(np.array([np.nan])))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_network_that_keeps_all_volumes_has_the_dimension_of_its_state(dtype):
    # every λ_i is zero: rounding must not choose the dimension
    for options in (dict(activation="identity"), dict(cell="diagonal", rho_min=1.0)):
        points = [
            Point(**options, gamma=1.0, hidden_size=8, length=40, batch_size=2, seed=s, dtype=dtype)
            for s in range(10)
        ]
        found = measure(points, probes=["lyapunov"]).to_pylist()
        assert [one["kaplan_yorke"] for one in found] == [8.0] * 10


def test_a_row_that_has_died_does_not_take_the_place_of_a_live_one():
    # truncated, J = [[0, o tanh'(c) a], [0, a]]: N exponents ln a, N of −∞, also where tanh'(c_t) has underflowed
    # at the later steps (c grows by one a step)
    N, T = 3, 1200
    point = Point(cell="lstm_1997", gradient="truncated", hidden_size=N, length=T, batch_size=2, input="zero")
    own = {"U": np.zeros((3 * N, N)), "W": np.zeros((3 * N, 4)), "b": np.full(3 * N, 9.0), "a": 1.0}
    found = row(point, parameters=own, probes=["lyapunov"])
    assert found["lyapunov_spectrum"] == [0.0] * N + [-np.inf] * N
    assert (found["gamma_lyapunov"], found["kaplan_yorke"]) == (1.0, 3.0)


def test_the_spectrum_of_relu_units_that_are_off_at_the_last_step():
    # two steps with D_2 = diag(0, 1), D_1 = I: the product has rank one and σ_1 = ‖(row 2 of U) U‖
    U = np.array([[0.3, 0.9], [0.8, -0.4]])
    point = Point(activation="relu", hidden_size=2, input_size=2, length=2, batch_size=1)
    inputs = np.array([[[5.0, 5.0]], [[-50.0, 50.0]]])
    found = row(
        point, parameters={"U": U, "W": np.eye(2), "b": np.zeros(2)}, inputs=inputs, probes=["lyapunov"]
    )
    assert found["lyapunov_spectrum"][0] == pytest.approx(np.log(np.linalg.norm(U[1] @ U)) / 2, abs=1e-14)
    assert found["lyapunov_spectrum"][1] == -np.inf
