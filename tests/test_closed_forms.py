"""Closed forms that an engine must reproduce, named by their numbers in the table of checks.

3 is in test_gradients, 5 in test_bound; long lags and the edges of the range are in test_range, other
identities in test_identities. Everything goes through the public ``trace`` and ``measure``.
"""

from math import comb, log, pi, sqrt
from statistics import NormalDist

import numpy as np
import pytest
import reference
from helpers import lags, row, start, vectors
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS


def normal_quantiles(count):
    """The median of each of ``count`` equally likely slices of N(0, 1)."""
    return np.array([NormalDist().inv_cdf((j + 0.5) / count) for j in range(count)])


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0, 1.1, 1.5])
@pytest.mark.parametrize("weights", ["orthogonal", "ring", "identity"])
def test_1_orthogonal_linear_network(weights, gamma):
    T = 300
    t = trace(
        Point(
            activation="identity",
            weights=weights,
            gamma=gamma,
            length=T,
            hidden_size=9,
            input="zero",
            batch_size=2,
        )
    )
    grown = t.ln_norms[0] - t.ln_norms[0, -1]
    wanted = (lags(T) * log(gamma))[:, None]
    assert np.all(np.abs(grown - wanted) <= 1e-14 * lags(T)[:, None] + 1e-15)


@pytest.mark.parametrize("point", [
    Point(cell="linear", gamma=1.0, length=50, loss_times="5"),
    Point(cell="memory", activation="logistic", gamma=1.0, length=50, loss_times="5"),
    Point(activation="identity", weights="identity", gamma=1.0, length=50, loss_times="5"),
], ids=["linear", "memory", "simple"])  # fmt: skip
def test_2_linear_loop_keeps_every_bit_of_the_error_term(point):
    t = trace(point)
    for r, end in enumerate(t.loss_times):
        assert (t.error_terms[r, :end] == t.error_terms[r, end - 1]).all()
        assert (t.ln_norms[r, :end] == t.ln_norms[r, end - 1]).all()
        assert np.isneginf(t.ln_norms[r, end:]).all()
        assert not t.error_terms[r, end:].any()


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("cell", CELLS)
def test_4_double_sum_equals_one_sweep_equals_sum_over_lags(cell, loss):
    point = Point(
        cell=cell, length=23, hidden_size=6, input_size=3, batch_size=3, loss=loss, loss_times="every"
    )
    t = trace(point)
    delta, B = vectors(t), 3
    signal = reference.ACTIVATIONS["tanh"](t.inputs) if cell in ("linear", "memory") else t.inputs
    double = np.einsum("rkbj,kbm->jm", delta, signal) / B
    by_lag = np.zeros_like(double)
    for lag in range(23):
        for r, end in enumerate(t.loss_times[lag:], start=lag):
            by_lag += np.einsum("bj,bm->jm", delta[r, end - lag - 1], signal[end - lag - 1]) / B
    for found in (double, by_lag):
        np.testing.assert_allclose(found, t.gradients["W"], rtol=0, atol=1e-12 * np.abs(found).max())
    if "b" in t.gradients:
        np.testing.assert_allclose(
            delta.sum(axis=(0, 1, 2)) / B, t.gradients["b"], rtol=0, atol=1e-12 * np.abs(delta).max()
        )
    if "U" in t.gradients:
        h = t.states[:-1, :, :6]
        seen = np.repeat(h[:, :, None], delta.shape[-1] // 6, axis=2)  # (T,B,G,N): what each block multiplies
        if cell == "gru":
            seen[:, :, 2] *= reference.logistic(t.net_inputs[..., 6:12])
        double = (
            np.einsum("rkbgj,kbgi->gji", delta.reshape(*delta.shape[:-1], -1, 6), seen).reshape(-1, 6) / B
        )
        np.testing.assert_allclose(double, t.gradients["U"], rtol=0, atol=1e-12 * np.abs(double).max())


def test_6_diagonal_linear_network():
    T, eigenvalues = 200, np.array([1.3, -1.0, 0.7, -0.2, 0.99])
    point = Point(activation="identity", length=T, hidden_size=5, input="zero", batch_size=2)
    t = trace(point, parameters=trace(point).parameters | {"U": np.diag(eigenvalues)})
    logs = np.log(np.abs(t.error_terms[0])) + t.ln_norms[0][..., None]
    wanted = logs[-1] + lags(T)[:, None, None] * np.log(np.abs(eigenvalues))
    assert np.all(np.abs(logs - wanted) <= 1e-13 * lags(T)[:, None, None] + 1e-15)
    signs = np.sign(eigenvalues) ** lags(T)[:, None, None] * np.sign(t.error_terms[0, -1])
    np.testing.assert_array_equal(np.sign(t.error_terms[0]), signs)


@pytest.mark.parametrize("k", [1, 100])
@pytest.mark.parametrize("cell", CELLS)
def test_9_tangent_and_adjoint_are_dual_over_200_steps(cell, k):
    point = Point(cell=cell, length=201, hidden_size=6, input_size=3, batch_size=2)
    t = trace(point)
    v = np.random.default_rng(9).standard_normal(t.net_inputs.shape[1:])
    push = np.zeros(t.net_inputs.shape, dtype=complex)
    push[k - 1] = 1j * reference.H * v
    moved = reference.run(point, t.parameters, t.inputs, t.targets, t.loss_times, push=push)
    forward = moved.losses[0].imag / reference.H
    scale = np.exp(t.ln_norms[0, k - 1])
    backward = scale * np.sum(t.error_terms[0, k - 1] * v, axis=-1)
    assert np.all(np.abs(forward - backward) <= 1e-12 * scale * np.linalg.norm(v, axis=-1))


@pytest.mark.parametrize(("T", "value"), [(100, 0.0794), (1000, 0.0252)])
def test_16_memory_cell_driven_by_normal_steps(T, value):
    # a path of normal steps is its end, √T times a normal number, and a bridge that the end does not see;
    # ends at equally likely quantiles make the mean over columns an integral
    B = 2000
    rng = np.random.default_rng(16)
    x = rng.standard_normal((T, B))
    x += (sqrt(T) * normal_quantiles(B) - x.sum(axis=0)) / T
    shape = dict(length=T, hidden_size=1, input_size=1, output_size=1, batch_size=B)
    point = Point(cell="memory", activation="identity", gamma=1.0, **shape)
    ones = {"a": np.array(1.0), "W": np.ones((1, 1)), "V": np.ones((1, 1)), "d": np.zeros(1)}
    found = row(point, parameters=ones, inputs=x[..., None], probes=("saturation",))
    assert found["saturation_step"][-1] == T
    mean = found["saturation_curve"][-1]
    c = np.linspace(-40, 40, 80001)
    integral = np.sum(np.exp(-c * c / (2 * T)) / np.cosh(c) ** 2) * 1e-3 / sqrt(2 * pi * T)
    assert mean == pytest.approx(integral, rel=1e-4)
    assert mean == pytest.approx(value, rel=0.01)
    assert mean == pytest.approx(sqrt(2 / (pi * T)), rel=0.01)


def test_16_unit_steps_differ():
    # ±1 steps: column j goes up j times, which has probability C(100, j)/2^100
    T, B = 100, 101
    x = np.where(np.arange(T)[:, None] < np.arange(B), 1.0, -1.0)[..., None]
    point = Point(
        cell="memory", activation="identity", gamma=1.0, length=T, hidden_size=1, input_size=1, batch_size=B
    )
    p = {"a": np.array(1.0), "W": np.ones((1, 1)), "V": np.ones((4, 1)), "d": np.zeros(4)}
    t = trace(point, parameters=p, inputs=x)
    read_out = np.exp(t.ln_norms[0, -1] - np.log(np.abs(start(t)[:, 0])))
    chance = np.array([comb(T, j) / 2**T for j in range(B)])
    assert chance @ read_out == pytest.approx(0.0908, abs=5e-5)
    assert chance @ read_out == pytest.approx(chance @ np.cosh(2.0 * np.arange(B) - T) ** -2.0, rel=1e-12)


def test_17_memory_cell_with_logistic_input():
    # g(x) + g(−x) = 1, so that pairs of opposite inputs have mean t/2 exactly
    T, B = 1200, 200
    half = np.random.default_rng(17).standard_normal((T, B // 2))
    x = np.concatenate([half, -half], axis=1)[..., None]
    point = Point(
        cell="memory", activation="logistic", gamma=1.0, length=T, hidden_size=1, input_size=1, batch_size=B
    )
    p = {"a": np.array(1.0), "W": np.ones((1, 1)), "V": np.ones((4, 1)), "d": np.zeros(4)}
    found = row(point, parameters=p, inputs=x, probes=("saturation",))
    step, mean = np.array(found["saturation_step"]), np.array(found["ln_saturation_curve"])
    late = step >= 10
    np.testing.assert_allclose(mean[late], log(4) - step[late], rtol=0.005)
    t = trace(point, parameters=p, inputs=x)
    read_out = t.ln_norms[0, -1] - np.log(np.abs(start(t)[:, 0]))  # e^−1200 is far below the range
    assert read_out.mean() == pytest.approx(log(4) - T, rel=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "lstm_1997"])
def test_18_lstm_without_recurrence_carries_the_product_of_its_forget_gates(cell):
    point = Point(cell=cell, length=40, hidden_size=5, input_size=3, batch_size=2, gamma=0.9)
    p = trace(point).parameters
    t = trace(point, parameters=p | {"U": np.zeros_like(p["U"])})
    i, *f, o, c = np.split(t.net_inputs, len(reference.GATES[cell]), axis=-1)
    i, o = reference.logistic(i), reference.logistic(o)
    f = reference.logistic(f[0]) if f else np.full_like(i, p["a"])
    after = np.ones_like(f)  # ∏ of the gates of the steps after k
    for k in range(38, -1, -1):
        after[k] = after[k + 1] * f[k + 1]
    read_out = start(t) * o[-1] / np.cosh(t.states[-1, :, 5:]) ** 2
    wanted = read_out * after * i / np.cosh(c) ** 2
    found = vectors(t)[0, ..., -5:]
    assert np.all(np.abs(found - wanted) <= 1e-13 * np.linalg.norm(wanted, axis=-1, keepdims=True))


@pytest.mark.parametrize(("bias", "half_life"), [(0, 1), (1, 2.2127), (2, 5.4609), (5, 103.218)])
def test_19_half_life_from_the_forget_bias(bias, half_life):
    # no recurrence, no input, output gate open: c = 0, h = c, and the adjoint is f^lag
    gate = 1 / (1 + np.exp(-bias))
    point = Point(
        cell="lstm", gamma=float(gate), recurrent_gain=0.0, gate_bias=50.0, input="zero", length=500
    )
    found = row(point)
    assert found["half_life"] == pytest.approx(half_life, rel=1e-4)
    assert found["half_life"] == pytest.approx(log(0.5) / log(gate), rel=1e-12)
    assert found["decay_rate"] == pytest.approx(log(gate), rel=1e-9)
    assert found["gamma_nominal"] == pytest.approx(gate, rel=1e-12)
    assert found["gamma_realised"] == pytest.approx(gate, rel=1e-9)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_21_gru_with_a_constant_keep_gate_and_no_recurrence(reset):
    point = Point(
        cell="gru", reset=reset, gamma=0.97, recurrent_gain=0.0, length=150, hidden_size=4, batch_size=3
    )
    p = trace(point).parameters
    W = p["W"].copy()
    W[:4] = 0.0  # the keep gate sees no input
    t = trace(point, parameters=p | {"W": W})
    k = 1 / (1 + np.exp(-p["b"][0]))
    n = np.tanh(t.net_inputs[..., -4:])
    h = t.states[:-1]
    wanted = start(t) * k ** lags(150)[:, None, None]
    for block, factor in ((0, (h - n) * k * (1 - k)), (2, (1 - k) / np.cosh(t.net_inputs[..., -4:]) ** 2)):
        found = vectors(t)[0, ..., 4 * block : 4 * block + 4]
        np.testing.assert_allclose(
            found, wanted * factor, rtol=1e-12, atol=1e-13 * np.abs(wanted * factor).max()
        )
    assert not vectors(t)[0, ..., 4:8].any()


def slope(gate):
    """logistic' from its value, which is exact enough away from saturation."""
    return gate * (1 - gate)


def lstm_jacobian(point, p, before, z, after):
    """∂(h,c)_k/∂(h,c)_{k−1} of one column; with a carousel instead of a forget gate for lstm_1997."""
    gates = dict(zip(reference.GATES[point.cell], np.split(z, len(z) // 6), strict=True))
    U = dict(zip(reference.GATES[point.cell], np.split(p["U"], len(z) // 6), strict=True))
    i, o = reference.logistic(gates["i"]), reference.logistic(gates["o"])
    candidate, tanh_c = np.tanh(gates["c"]), np.tanh(after[6:])
    cc = np.diag(reference.logistic(gates["f"])) if "f" in gates else p["a"] * np.eye(6)
    ch = np.diag(candidate * slope(i)) @ U["i"] + np.diag(i * (1 - candidate**2)) @ U["c"]
    if "f" in gates:
        ch += np.diag(before[6:] * slope(reference.logistic(gates["f"]))) @ U["f"]
    out = np.diag(o * (1 - tanh_c**2))
    if "p" in p:
        pi, pf, po = np.split(p["p"], 3)
        cc += np.diag(before[6:] * slope(reference.logistic(gates["f"])) * pf) + np.diag(
            candidate * slope(i) * pi
        )
        out += np.diag(tanh_c * slope(o) * po)  # the output gate sees c_t
    hh = np.diag(tanh_c * slope(o)) @ U["o"] + out @ ch
    return np.block([[hh, out @ cc], [ch, cc]])


def gru_jacobian(point, p, h, z, _after):
    """∂h_k/∂h_{k−1} of one column, both conventions of the reset gate."""
    zk, zr, zn = np.split(z, 3)
    Uk, Ur, Un = np.split(p["U"], 3)
    k, r, n = reference.logistic(zk), reference.logistic(zr), np.tanh(zn)
    if point.reset == "before":
        inner = Un @ (np.diag(r) + np.diag(h * slope(r)) @ Ur)
    else:
        inner = np.diag(r) @ Un + np.diag((Un @ h) * slope(r)) @ Ur
    return np.diag(k) + np.diag((h - n) * slope(k)) @ Uk + np.diag((1 - k) * (1 - n**2)) @ inner


@pytest.mark.parametrize(("options", "jacobian"), [
    (dict(cell="lstm_1997", gamma=0.95), lstm_jacobian),
    (dict(cell="lstm", gamma=0.9, gate_bias=0.5), lstm_jacobian),
    (dict(cell="lstm_peephole", gamma=0.9, gate_bias=0.5), lstm_jacobian),
    (dict(cell="gru", gamma=0.8, reset="before"), gru_jacobian),
    (dict(cell="gru", gamma=0.8, reset="after"), gru_jacobian),
], ids=["lstm_1997", "lstm", "lstm_peephole", "gru before", "gru after"])  # fmt: skip
def test_22_block_jacobians_of_the_gated_cells(options, jacobian):
    T = 12
    point = Point(**options, length=T, hidden_size=6, input_size=3, batch_size=2)
    t = trace(point)
    by_state, by_net = reference.step_jacobians(point, t.parameters, t.states, t.inputs)
    for b in range(2):
        adjoint = reference.at_loss(point, t.parameters, t.states, t.targets, T)[b]
        for k in range(T, 0, -1):
            wanted = adjoint @ by_net[k - 1, b]
            found = vectors(t)[0, k - 1, b]
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.linalg.norm(wanted))
            block = jacobian(point, t.parameters, t.states[k - 1, b], t.net_inputs[k - 1, b], t.states[k, b])
            np.testing.assert_allclose(block, by_state[k - 1, b], rtol=0, atol=1e-13 * np.abs(block).max())
            adjoint = adjoint @ block


@pytest.mark.parametrize("K", [1, 10, 100])
def test_24_truncated_gradient_of_a_scalar_linear_network(K):
    T, u = 2000, 0.9  # u^T is nothing
    point = Point(activation="identity", length=T, hidden_size=1, input_size=1, output_size=1, batch_size=1)
    p = {name: np.full(shape, 0.3) for name, shape in reference.shapes(point).items()} | {
        "U": np.array([[u]])
    }
    t = trace(point, parameters=p)
    truncated = vectors(t)[0, T - K :, 0, 0].sum()
    assert truncated / t.gradients["b"][0] == pytest.approx(1 - u**K, rel=1e-12)
    if K == 10:
        assert truncated / t.gradients["b"][0] == pytest.approx(0.651322, abs=5e-7)
