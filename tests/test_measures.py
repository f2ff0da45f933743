"""What ``measure`` reports, recomputed with plain NumPy from ``trace`` and the definitions; and every status."""

from math import log

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, measure, trace
from longlag.workers.cells import CELLS

KEEPS = {"lstm": 1, "lstm_peephole": 1, "gru": 0, "mingru": 0}
"""The block of the gate whose product stands beside the curve."""
LEVELS = {"half_life": 0.5, "horizon_10": 0.1, "horizon_1": 0.01}
SLOPES = {"tanh": 1.0, "logistic": 0.25, "relu": 1.0, "identity": 1.0}


def ratios(logs, times, lag):
    """ln‖·_{t,t−ℓ}‖ − ln‖·_{t,t}‖ of every loss time t ≥ ℓ + 1 and live column, from logs (R,T,B)."""
    values = [logs[r, t - lag - 1] - logs[r, t - 1] for r, t in enumerate(times) if t >= lag + 1]
    values = np.concatenate(values)
    return values[np.isfinite(values)]


def adjoint_logs(point, t):
    """ln‖λ_{t,k}‖ (R,T,B) by the reference's product of Jacobians."""
    logs = np.full((len(t.loss_times), point.length, point.batch_size), -np.inf)
    for r, end in enumerate(t.loss_times):
        logs[r, :end] = reference.products(point, t.parameters, t.states, t.inputs, t.targets, end)[3]
    return logs


def crossings(curve, level):
    """First lag below the level, log-linearly interpolated, and last lag not below it plus one; None if never."""
    below = np.flatnonzero(curve < log(level))
    first = last = None
    if len(below):
        end = below[0]
        first = end - 1 + (curve[end - 1] - log(level)) / (curve[end - 1] - curve[end])
    if curve[-1] < log(level):
        last = np.flatnonzero(curve >= log(level))[-1] + 1
    return first, last


POINTS = [
    Point(cell=cell, length=40, hidden_size=6, input_size=3, batch_size=5, loss_times="3") for cell in CELLS
]
POINTS += [
    Point(gamma=1.5, activation="identity", length=30, hidden_size=5, batch_size=1),
    Point(gamma=0.5, length=23, hidden_size=5, loss_times="every", loss="cross_entropy", batch_size=3),
    Point(gamma=1.2, weights="gaussian", activation="relu", length=25, hidden_size=30, batch_size=4),
    Point(
        cell="residual", gamma=1.1, leak=0.2, activation="logistic", length=30, hidden_size=5, batch_size=2
    ),
    Point(cell="lstm", gamma=0.6, weights="gaussian", gate_bias=1.0, length=30, hidden_size=9, batch_size=2),
    Point(cell="gru", gamma=0.7, reset="after", length=30, hidden_size=9, batch_size=2),
]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_curves_and_what_is_read_off_them(point):
    found, t = row(point), trace(point)
    assert found["status"] == t.status == "ok"
    L = t.loss_times[-1] - 1
    assert found["lag"] == list(range(L + 1))
    logs = {"delta": t.ln_norms, "adjoint": adjoint_logs(point, t)}
    np.testing.assert_allclose(t.ln_adjoint_norms, logs["adjoint"], rtol=0, atol=1e-11)
    curves = {}
    for kind, values in logs.items():
        by_lag = [ratios(values, t.loss_times, lag) for lag in range(L + 1)]
        curves[kind] = np.array([one.mean() for one in by_lag])
        np.testing.assert_allclose(found[kind], curves[kind], rtol=0, atol=1e-11, err_msg=kind)
        for name, q in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
            wanted = [np.quantile(one, q) for one in by_lag]
            np.testing.assert_allclose(found[f"{kind}_{name}"], wanted, rtol=0, atol=1e-11, err_msg=name)
    curve = curves["adjoint"]
    for name, level in LEVELS.items():
        for key, wanted in zip((name, f"{name}_last"), crossings(curve, level), strict=True):
            assert found[f"{key}_censored"] == (wanted is None), key
            assert found[key] == (wanted if wanted is None else pytest.approx(wanted, rel=1e-9)), key
    weight = np.exp(curve)
    assert found["mean_lag"] == pytest.approx(np.arange(L + 1) @ weight / weight.sum(), rel=1e-10)
    start = int(np.ceil(min(10, L / 4)))
    lag = np.arange(start, L + 1)
    rate, offset = np.polyfit(lag, curve[start:], 1)
    unexplained = np.sum((curve[start:] - rate * lag - offset) ** 2)
    spread = np.sum((curve[start:] - curve[start:].mean()) ** 2)
    flat = spread < 1e-24  # then the line leaves nothing unexplained
    assert found["decay_rate"] == pytest.approx(rate, rel=1e-9, abs=1e-14)
    assert found["decay_r2"] == pytest.approx(1 if flat else 1 - unexplained / spread, rel=1e-9)
    assert found["gamma_realised"] == pytest.approx(
        np.exp((curve[L] - curve[start]) / (L - start)), rel=1e-11
    )
    assert found["ln_ratio_end"] == pytest.approx(curve[L], abs=1e-11)
    assert found["dead_fraction"] == 0
    nominal = gamma_nominal(point, t.parameters)
    assert found["gamma_nominal"] == pytest.approx(nominal, rel=1e-12)
    np.testing.assert_allclose(found["bound"], np.arange(L + 1) * log(nominal), rtol=1e-11, atol=1e-12)
    if point.cell in ("simple", "linear", "memory", "residual", "diagonal"):
        assert found["bound_gap"] == pytest.approx(L * log(nominal) - curve[L], abs=1e-10)
    else:
        assert found["bound_gap"] is None


def gamma_nominal(point, p):
    """γ from the parameters alone, by the cell's row."""
    if point.cell in ("linear", "memory", "lstm_1997"):
        return float(p["a"])
    if point.cell in ("simple", "residual"):
        bound = np.linalg.svd(p["U"], compute_uv=False)[0] * SLOPES[point.activation]
        return bound if point.cell == "simple" else (1 - point.leak) + point.leak * bound
    if point.cell == "diagonal":
        return np.abs(p["rho"]).max()
    N = point.hidden_size
    return reference.logistic(p["b"][KEEPS[point.cell] * N :][:N]).mean()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_gamma_is_what_the_point_says(point):
    assert gamma_nominal(point, trace(point).parameters) == pytest.approx(point.gamma, rel=1e-12)


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian", "identity", "ring"])
@pytest.mark.parametrize("activation", SLOPES)
def test_gamma_kinds(activation, weights):
    def U(kind):
        point = Point(gamma=0.8, gamma_kind=kind, weights=weights, activation=activation, hidden_size=30)
        return trace(point).parameters["U"]

    assert np.linalg.norm(U("nominal"), 2) * SLOPES[activation] == pytest.approx(0.8, rel=1e-12)
    assert np.abs(np.linalg.eigvals(U("radius"))).max() == pytest.approx(0.8, rel=1e-12)
    if weights == "gaussian":
        assert np.linalg.norm(U("gain")) == pytest.approx(0.8 * np.sqrt(30), rel=0.15)
    else:
        np.testing.assert_allclose(U("gain").T @ U("gain"), 0.64 * np.eye(30), atol=1e-14)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_loss_gradient_sizes_and_saturation(point):
    found, t = row(point), trace(point)
    assert found["loss_value"] == pytest.approx(t.loss, rel=1e-13)
    for name in ("U", "W", "b", "a", "V", "d", "p", "rho", "theta", "b_u"):
        wanted = log(np.linalg.norm(t.gradients[name])) if name in t.gradients else None
        assert found[f"ln_grad_norm_{name}"] == (
            wanted if wanted is None else pytest.approx(wanted, abs=1e-12)
        ), name
    N, z = point.hidden_size, t.net_inputs
    squashed, f = {
        "simple": (z, point.activation), "residual": (z, point.activation), "linear": (z, "identity"),
        "memory": (t.states[1:], "tanh"), "gru": (z[..., 2 * N :], "tanh"),
        "mingru": (z[..., N:], "identity"), "diagonal": (z, "identity"),
        **dict.fromkeys(("lstm", "lstm_peephole", "lstm_1997"), (t.states[1:, :, N:], "tanh")),
    }[point.cell]  # fmt: skip
    slope = reference.ACTIVATIONS[f](squashed + 1j * reference.H).imag / reference.H
    assert found["saturation_step"] == list(range(1, point.length + 1))
    np.testing.assert_allclose(found["saturation_curve"], slope.mean(axis=(1, 2)), rtol=1e-12)
    assert found["saturation"] == pytest.approx(slope.mean(), rel=1e-12)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            found["ln_saturation_curve"], np.log(slope).mean(axis=(1, 2)), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("cell", KEEPS)
def test_gate_product_stands_beside_the_curve(cell):
    point = Point(cell=cell, length=20, hidden_size=6, batch_size=3, loss_times="2", gamma=0.9)
    found, t = row(point), trace(point)
    ln_gate = np.log(reference.logistic(t.net_inputs[..., 6 * KEEPS[cell] :][..., :6]))
    wanted = [
        np.mean([ln_gate[t - lag : t].sum(axis=0) for t in t.loss_times if t >= lag + 1])
        for lag in found["lag"]
    ]
    np.testing.assert_allclose(found["gate_product"], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in KEEPS])
def test_ungated_cells_have_no_gate_product(cell):
    assert row(Point(cell=cell, length=5, hidden_size=4))["gate_product"] is None


@pytest.mark.parametrize("length", [1, 2, 4, 5])
def test_fits_are_null_below_four_lags(length):
    found = row(Point(length=length, hidden_size=3, gamma=0.9))
    for name in ("decay_rate", "decay_r2", "gamma_realised"):
        assert (found[name] is None) == (length - 1 < 4), name
    assert len(found["adjoint"]) == length
    assert found["adjoint"][0] == found["delta"][0] == 0


# ---- statuses


def test_dead_relu_network():
    point = Point(activation="relu", length=12, hidden_size=4, batch_size=3)
    p = trace(point).parameters | {"b": np.full(4, -50.0)}
    found = row(point, parameters=p)
    assert found["status"] == trace(point, parameters=p).status == "dead"
    assert found["dead_fraction"] == 1
    assert found["saturation"] == 0
    assert found["decay_rate"] is None
    assert found["ln_grad_norm_U"] == found["ln_grad_norm_b"] == -np.inf
    assert np.isfinite(found["ln_grad_norm_d"])


def test_one_dead_column_is_counted_and_left_out():
    # column 1 is driven far below zero at step 6, and no error passes; the curve is that of column 0
    point = Point(activation="relu", length=10, hidden_size=3, input_size=1, batch_size=2, input="zero")
    p = trace(point).parameters | {"U": 0.9 * np.eye(3), "W": np.ones((3, 1)), "b": np.ones(3)}
    x = np.zeros((10, 2, 1))
    x[5, 1] = -1e3
    found = row(point, parameters=p, inputs=x)
    assert found["status"] == "ok"
    assert found["dead_fraction"] == 0.5
    np.testing.assert_allclose(found["adjoint"], np.arange(10) * log(0.9), rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_a_loss_without_gradient_is_no_signal(cell):
    point = Point(cell=cell, length=8, hidden_size=4)
    p = trace(point).parameters
    p = p | {"V": np.zeros_like(p["V"])}
    found, t = row(point, parameters=p), trace(point, parameters=p)
    assert found["status"] == t.status == "no_signal"
    assert np.isneginf(t.ln_norms).all()
    assert not t.error_terms.any()
    assert not t.gradients["W"].any()
    assert np.abs(t.gradients["d"]).max() > 0


@pytest.mark.parametrize(("cell", "gamma"), [
    ("lstm", 1.0), ("gru", 1.5), ("lstm", 0.0), ("residual", 0.1), ("lstm_peephole", 1.0), ("mingru", 1.2),
])  # fmt: skip
def test_a_gamma_out_of_reach_is_unreachable_and_never_clamped(cell, gamma):
    point = Point(cell=cell, gamma=gamma, length=6, hidden_size=3)
    found = row(point)
    assert found["status"] == "unreachable"
    assert found["loss_value"] is None
    assert found["adjoint"] is None
    with pytest.raises(ValueError, match=r"\d"):
        trace(point)


@pytest.mark.parametrize("cell", CELLS)
def test_ok_rows_have_no_detail_and_lists_have_one_length(cell):
    found = row(Point(cell=cell, length=9, hidden_size=4))
    assert found["status"] == "ok"
    assert found["status_detail"] is None
    curves = (
        "delta",
        "adjoint",
        "bound",
        "delta_q05",
        "delta_q50",
        "delta_q95",
        "adjoint_q05",
        "adjoint_q95",
    )
    assert {len(found[name]) for name in curves} == {len(found["lag"])}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "gamma"), [("half_life", 0.5), ("horizon_10", 0.1), ("horizon_1", 0.01)])
def test_a_curve_exactly_at_a_level_is_not_below_it_whatever_the_last_bit_says(name, gamma, dtype):
    for cell in ("linear", "simple", "diagonal"):
        own = {"simple": {"activation": "identity"}, "diagonal": {"rho_min": 1.0}}.get(cell, {})
        for length, last in ((2, None), (20, 2.0)):  # at the last lag, and with lags behind it
            points = [
                Point(
                    cell=cell,
                    gamma=gamma,
                    length=length,
                    hidden_size=6,
                    batch_size=3,
                    seed=s,
                    dtype=dtype,
                    **own,
                )
                for s in range(8)
            ]
            found = measure(points, probes=["curves"]).to_pylist()
            assert {one[f"{name}_last"] for one in found} == {last}
            assert {one[f"{name}_censored"] for one in found} == {length == 2}
            for one in found:
                assert one[name] is None if length == 2 else one[name] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0, 1.5])
def test_the_mean_lag_of_a_geometric_curve(gamma):
    L = 2000  # γ^L is beyond range on both sides
    point = Point(gamma=gamma, activation="identity", length=L + 1, hidden_size=3, input="zero", batch_size=1)
    if gamma == 1:
        wanted = L / 2
    elif gamma < 1:
        wanted = gamma / (1 - gamma)
    else:
        wanted = L - (1 / gamma) / (1 - 1 / gamma)
    assert row(point)["mean_lag"] == pytest.approx(wanted, rel=1e-10)


def test_a_dead_curve_has_no_mean_lag():
    point = Point(cell="memory", length=8, hidden_size=2, input_scale=1e30, activation="identity")
    assert row(point)["status"] == "dead"
    assert row(point)["mean_lag"] is None
    assert row(Point(gamma=0.0, length=8, hidden_size=3))["mean_lag"] == 0
