"""Exact relations between points, cells and parameters, and closed forms beyond the table of checks."""

from decimal import Decimal, localcontext
from math import comb, log

import numpy as np
import pytest
import reference
from helpers import lags, start, vectors
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS


def assert_traces_agree(a, b, columns_a=slice(None), columns_b=slice(None), rtol=1e-13):
    x, y = vectors(a)[..., columns_a], vectors(b)[..., columns_b]
    np.testing.assert_allclose(x, y, rtol=0, atol=rtol * np.abs(x).max())
    assert a.loss == pytest.approx(b.loss, rel=rtol)


def test_a_jordan_block_rises_before_it_falls():
    # U = λ(1 + shift): (Uᵀ)^ℓ e_0 holds the binomial numbers of (1 + x)^ℓ, and grows like ℓ^(N−1) λ^ℓ
    T, N, eigenvalue = 120, 4, 0.8
    point = Point(activation="identity", length=T, hidden_size=N, output_size=1, batch_size=1, input="zero")
    p = trace(point).parameters | {"U": eigenvalue * (np.eye(N) + np.eye(N, k=1)), "V": np.eye(1, N)}
    t = trace(point, parameters=p)
    wanted = [
        lag * log(eigenvalue) + 0.5 * log(sum(comb(lag, j) ** 2 for j in range(min(lag, N - 1) + 1)))
        for lag in lags(T)
    ]
    found = t.ln_norms[0, :, 0] - t.ln_norms[0, -1, 0]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert found.max() > 2.5  # max at a lag near (N − 1)/(1 − λ)


def test_a_nilpotent_network_forgets_exactly_after_n_steps():
    T, N = 20, 6
    point = Point(activation="identity", length=T, hidden_size=N, output_size=1, batch_size=2)
    p = trace(point).parameters | {"U": np.eye(N, k=1), "V": np.eye(1, N)}
    t = trace(point, parameters=p)
    alive = lags(T) < N
    assert (t.ln_norms[0, alive] == t.ln_norms[0, -1]).all()
    assert np.isneginf(t.ln_norms[0, ~alive]).all()
    assert not t.error_terms[0, ~alive].any()
    direction = np.argmax(np.abs(t.error_terms[0, alive, 0]), axis=-1)
    np.testing.assert_array_equal(direction, lags(T)[alive])


def test_a_rotation_turns_the_error_term_by_its_angle():
    T, angle = 400, 0.3
    U = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    point = Point(activation="identity", length=T, hidden_size=2, batch_size=3, input="zero")
    t = trace(point, parameters=trace(point).parameters | {"U": 1.2 * U})
    x, y = np.moveaxis(t.error_terms[0], -1, 0)
    turned = np.exp(1j * (np.angle(x + 1j * y) + angle * lags(T)[:, None]))
    np.testing.assert_allclose(turned, np.broadcast_to(turned[-1], turned.shape), atol=1e-13)
    np.testing.assert_allclose(
        t.ln_norms[0] - t.ln_norms[0, -1], lags(T)[:, None] * np.full(3, log(1.2)), atol=1e-12
    )


def test_a_scalar_tanh_network_in_fifty_digits():
    T = 60
    point = Point(length=T, hidden_size=1, input_size=1, output_size=1, batch_size=1)
    t = trace(point, parameters=dict(U=[[1.4]], W=[[0.7]], b=[0.1], V=[[1.1]], d=[-0.2]))
    with localcontext() as context:
        context.prec = 50
        u, w, b, v, d = (Decimal(float(np.ravel(t.parameters[name])[0])) for name in "UWbVd")
        h, slopes, states, x = Decimal(0), [], [Decimal(0)], [Decimal(float(v)) for v in t.inputs.ravel()]
        for value in x:
            e = (-2 * (u * h + w * value + b)).exp()
            h = (1 - e) / (1 + e)
            slopes.append(4 * e / (1 + e) ** 2)
            states.append(h)
        delta = (v * h + d - Decimal(float(t.targets[-1, 0, 0]))) * v
        deltas = []
        for slope in reversed(slopes):
            deltas.insert(0, delta := delta * slope)
            delta *= u
        wanted = {
            "U": sum(a * s for a, s in zip(deltas, states, strict=False)),
            "W": sum(a * s for a, s in zip(deltas, x, strict=True)),
            "b": sum(deltas),
        }
        logs = [float(abs(a).ln()) for a in deltas]
    np.testing.assert_allclose(t.ln_norms[0, :, 0], logs, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(t.error_terms[0, :, 0, 0], [float(a.copy_sign(a) / abs(a)) for a in deltas])
    for name, value in wanted.items():
        assert float(np.ravel(t.gradients[name])[0]) == pytest.approx(float(value), rel=1e-12), name


@pytest.mark.parametrize("cell", ["linear", "memory"])
def test_gradients_of_the_loop(cell):
    T, a = 30, 0.9
    t = trace(Point(cell=cell, gamma=a, length=T, hidden_size=3, input_size=2, batch_size=4))
    adjoint = start(t) * (1.0 if cell == "linear" else np.cosh(t.states[-1]) ** -2.0)
    powers = a ** lags(T)
    loop = np.einsum("k,bn,kbn->", powers, adjoint, t.states[:-1]) / 4
    W = np.einsum("k,bn,kbm->nm", powers, adjoint, np.tanh(t.inputs)) / 4
    assert t.gradients["a"] == pytest.approx(loop, rel=1e-12)
    np.testing.assert_allclose(t.gradients["W"], W, rtol=1e-12, atol=1e-13)


def test_residual_with_a_whole_leak_is_the_simple_cell():
    shape = dict(length=20, hidden_size=5, input_size=3, batch_size=2, loss_times="every")
    simple = trace(Point(gamma=0.9, **shape))
    residual = trace(Point(cell="residual", leak=1.0, **shape), parameters=simple.parameters)
    assert_traces_agree(simple, residual)


def test_residual_without_recurrence_keeps_its_share():
    point = Point(cell="residual", leak=0.3, length=30, hidden_size=4, batch_size=2)
    p = trace(point).parameters
    t = trace(point, parameters=p | {"U": np.zeros((4, 4))})
    wanted = start(t) * 0.7 ** lags(30)[:, None, None] * 0.3 / np.cosh(t.net_inputs) ** 2
    np.testing.assert_allclose(vectors(t)[0], wanted, rtol=1e-12, atol=1e-14 * np.abs(wanted).max())


def test_lstm_with_open_forget_gates_is_the_carousel_of_1997():
    shape = dict(length=25, hidden_size=4, input_size=3, batch_size=2, loss_times="3")
    old = trace(Point(cell="lstm_1997", gamma=1.0, **shape))
    p = dict(old.parameters)
    carousel = p.pop("a")
    assert carousel == 1.0
    for name, forget in (("U", np.zeros((4, 4))), ("W", np.zeros((4, 3))), ("b", np.full(4, 60.0))):
        i, rest = p[name][:4], p[name][4:]
        p[name] = np.concatenate([i, forget, rest])
    new = trace(Point(cell="lstm", gamma=0.9, **shape), parameters=p)
    assert_traces_agree(new, old, np.r_[0:4, 8:16])
    assert np.abs(vectors(new)[..., 4:8]).max() < 1e-20


def test_a_peephole_lstm_without_peepholes_is_the_lstm_to_the_last_bit():
    shape = dict(length=25, hidden_size=4, input_size=3, batch_size=2, loss_times="3", gamma=0.8)
    plain = trace(Point(cell="lstm", **shape))
    closed = trace(Point(cell="lstm_peephole", **shape), parameters={"p": np.zeros(12)})
    for name in ("states", "error_terms", "ln_norms", "ln_adjoint_norms"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(closed, name), err_msg=name)
    for name, gradient in plain.gradients.items():
        np.testing.assert_array_equal(gradient, closed.gradients[name], err_msg=name)
    drawn = trace(Point(cell="lstm_peephole", **shape))
    assert np.abs(drawn.ln_norms[-1] - plain.ln_norms[-1]).max() > 1e-3


def test_real_pairs_decay_by_themselves():
    T, rho = 150, np.array([1.1, -0.9, 0.3])
    point = Point(cell="diagonal", length=T, hidden_size=6, batch_size=2)
    t = trace(point, parameters={"rho": rho, "theta": np.zeros(3)})
    logs = np.log(np.abs(t.error_terms[0])) + t.ln_norms[0][..., None]
    wanted = logs[-1] + lags(T)[:, None, None] * np.log(np.abs(np.repeat(rho, 2)))
    assert np.all(np.abs(logs - wanted) <= 1e-13 * lags(T)[:, None, None] + 1e-15)
    signs = np.sign(np.repeat(rho, 2)) ** lags(T)[:, None, None] * np.sign(t.error_terms[0, -1])
    np.testing.assert_array_equal(np.sign(t.error_terms[0]), signs)


def test_a_pair_is_one_complex_number():
    T, rho, theta = 200, 0.98, 0.7
    point = Point(cell="diagonal", length=T, hidden_size=2, input_size=3, batch_size=4)
    t = trace(point, parameters={"rho": [rho], "theta": [theta]})
    drive = t.inputs @ t.parameters["W"].T
    powers = (rho * np.exp(1j * theta)) ** lags(T)
    h = np.einsum("k,kb->b", powers, drive[..., 0] + 1j * drive[..., 1])
    np.testing.assert_allclose(t.states[-1], np.stack([h.real, h.imag], axis=-1), rtol=0, atol=1e-12)
    pull = start(t)[:, 0] + 1j * start(t)[:, 1]
    wanted = pull * np.conj(powers)[:, None]  # the adjoint turns back
    found = vectors(t)[0, ..., 0] + 1j * vectors(t)[0, ..., 1]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_the_diagonal_network_is_a_simple_one_with_a_block_matrix():
    shape = dict(length=30, hidden_size=6, input_size=3, batch_size=2, loss_times="3")
    t = trace(Point(cell="diagonal", **shape))
    U = np.zeros((6, 6))
    for j, (rho, theta) in enumerate(zip(t.parameters["rho"], t.parameters["theta"], strict=True)):
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        U[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = rho * turn
    p = {name: t.parameters[name] for name in "WbVd"} | {"U": U}
    assert_traces_agree(t, trace(Point(activation="identity", **shape), parameters=p), rtol=1e-12)


def test_mingru_carries_the_product_of_its_keep_gates():
    T, N = 40, 5
    t = trace(Point(cell="mingru", length=T, hidden_size=N, batch_size=3, gamma=0.9))
    zk, zn = np.split(t.net_inputs, 2, axis=-1)
    k, renewed = reference.logistic(zk), reference.logistic(-zk)
    adjoint = np.empty((T, 3, N))
    adjoint[-1] = start(t)
    for j in range(T - 1, 0, -1):
        adjoint[j - 1] = adjoint[j] * k[j]
    wanted = np.concatenate([adjoint * (t.states[:-1] - zn) * k * renewed, adjoint * renewed], axis=-1)
    size = np.linalg.norm(wanted, axis=-1, keepdims=True)
    assert np.all(np.abs(vectors(t)[0] - wanted) <= 1e-13 * size)


def test_a_wide_open_keep_gate_lets_in_what_it_should():
    # 1 − k = e^−50: k rounds to 1, and 1 − σ(50) would be 0
    point = Point(cell="mingru", length=1, hidden_size=1, input_size=1, output_size=1, batch_size=1)
    p = {"W": np.zeros((2, 1)), "b": np.array([50.0, 3.0]), "V": np.ones((1, 1))}
    t = trace(point, parameters=p)
    assert float(t.states[1, 0, 0]) == pytest.approx(3 * np.exp(-50), rel=1e-14)
    np.testing.assert_allclose(
        t.ln_norms[0, 0], np.log(np.abs(start(t)[:, 0])) - 50 + 0.5 * log(10), rtol=1e-14
    )


def test_the_two_reset_conventions_agree_where_the_gate_is_open():
    shape = dict(length=25, hidden_size=4, input_size=3, batch_size=2, loss_times="3")
    p = dict(trace(Point(cell="gru", gamma=0.8, **shape)).parameters)
    p["b"] = p["b"] + np.repeat([0.0, 60.0, 0.0], 4)
    before, after = (trace(Point(cell="gru", reset=r, **shape), parameters=p) for r in ("before", "after"))
    assert_traces_agree(before, after, np.r_[0:4, 8:12], np.r_[0:4, 8:12])
    p["b"] = p["b"] - np.repeat([0.0, 60.0, 0.0], 4)
    before, after = (trace(Point(cell="gru", reset=r, **shape), parameters=p) for r in ("before", "after"))
    assert np.abs(vectors(before) - vectors(after)).max() > 1e-3


@pytest.mark.parametrize("cell", CELLS)
def test_every_loss_is_the_sum_of_shorter_points(cell):
    # streams are time-major, so that the point of length t has the first t steps of the longer ones
    T, shape = 6, dict(hidden_size=4, input_size=3, output_size=2, batch_size=3)
    whole = trace(Point(cell=cell, length=T, loss_times="every", **shape))
    parts = [trace(Point(cell=cell, length=length, **shape)) for length in range(1, T + 1)]
    assert whole.loss == pytest.approx(sum(part.loss for part in parts), rel=1e-13)
    for name, gradient in whole.gradients.items():
        total = sum(part.gradients[name] for part in parts)
        np.testing.assert_allclose(gradient, total, rtol=0, atol=1e-13 * np.abs(total).max(), err_msg=name)
    for r, part in enumerate(parts):
        np.testing.assert_array_equal(part.inputs, whole.inputs[: r + 1])
        np.testing.assert_allclose(part.ln_norms[0], whole.ln_norms[r, : r + 1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_hidden_units_have_no_order(cell):
    point = Point(cell=cell, length=15, hidden_size=6, input_size=3, batch_size=2)
    t = trace(point)
    order = np.random.default_rng(4).permutation(6)
    pairs = np.random.default_rng(4).permutation(3)
    if cell == "diagonal":  # pairs stay together
        order = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
    rows = np.concatenate([order + 6 * g for g in range(reference.blocks(cell))])
    p = dict(t.parameters)
    p |= {name: p[name][rows] for name in ("W", "b") if name in p}
    p |= {name: p[name][pairs] for name in ("rho", "theta") if name in p}
    p |= {"p": p["p"][rows[:18]]} if "p" in p else {}
    p |= {"U": p["U"][rows][:, order]} if "U" in p else {}
    p["V"] = p["V"][:, order]
    assert_traces_agree(t, trace(point, parameters=p), rows, rtol=1e-12)


def test_loss_times_are_evenly_spaced_and_end_at_the_last_step():
    for T, n in ((64, 8), (10, 3), (17, 5), (7, 7), (5, 1)):
        times = np.array(trace(Point(length=T, loss_times=str(n), hidden_size=2)).loss_times)
        assert len(times) == n
        assert times[-1] == T
        gaps = np.diff(times, prepend=0)
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1


def test_cross_entropy_starts_from_softmax_minus_label_even_for_huge_outputs():
    point = Point(loss="cross_entropy", length=3, hidden_size=4, output_size=3, batch_size=5)
    p = dict(trace(point).parameters)
    for scale in (1.0, 1e4):
        t = trace(point, parameters=p | {"V": scale * p["V"]})
        y, label = t.outputs[-1], t.targets[-1]
        chance = np.exp(y - y.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        error = chance - np.eye(3)[label]
        wanted = (error @ t.parameters["V"]) / np.cosh(t.net_inputs[-1]) ** 2
        np.testing.assert_allclose(vectors(t)[0, -1], wanted, rtol=1e-10, atol=1e-13 * scale)
        assert t.loss == pytest.approx(
            np.mean(-np.log(np.maximum(chance, 1e-300))[np.arange(5), label]), rel=1e-10
        ) or (scale > 1)
