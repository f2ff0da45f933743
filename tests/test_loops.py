"""Loops over the inputs stand for the units of a linear or memory cell: states, gradients and overflows are those
of the recurrence that they replace, whatever the sizes of W's columns."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import row
from longlag.workers import trace
from longlag.workers.kernel import Task, numerics
from longlag.workers.loops import Loops, powers
from longlag.workers.points import Point
from longlag.workers.stack import stack
from longlag.workers.tape import forward, overflow_step, passing

SHAPE = dict(length=150, hidden_size=5, input_size=4, output_size=2, batch_size=3, loss_times="3")
COLUMNS = {"float64": [1e-100, 1.0, 0.0, 1e100], "float32": [1e-10, 1.0, 0.0, 1e10]}


def own(cell, dtype, a=0.9):
    """Arrays and inputs of which every column of W brings the state as much as any other."""
    rng = np.random.default_rng(0)
    sizes = np.array(COLUMNS[dtype])
    W, x = rng.standard_normal((5, 4)) * sizes, rng.standard_normal((150, 3, 4))
    x /= np.where(sizes > 0, sizes, 1.0)
    p = dict(a=a, W=W, V=rng.standard_normal((2, 5)), d=np.zeros(2))
    return dict(point=Point(cell=cell, activation="identity", dtype=dtype, **SHAPE), parameters=p, inputs=x)


def recurrence(a, W, x):
    """h_t = a h_{t−1} + W x_t in extended precision, (T+1, B, N)."""
    h = np.zeros((len(x) + 1, x.shape[1], len(W)), np.longdouble)
    for t, now in enumerate(x):
        h[t + 1] = a * h[t] + now.astype(np.longdouble) @ W.T.astype(np.longdouble)
    return h


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", ["linear", "memory"])
def test_states_and_gradients_are_those_of_the_recurrence(cell, dtype):
    given = own(cell, dtype)
    t, eps = trace(**given), np.finfo(dtype).eps
    a, W, x = np.longdouble(t.parameters["a"]), t.parameters["W"], t.inputs
    c = recurrence(a, W, x)
    assert np.abs(t.states - c).max() <= 100 * eps * np.abs(c).max()
    lam, by_a, by_W = np.zeros(c.shape[1:], np.longdouble), 0, np.zeros(W.shape, np.longdouble)
    for k in range(len(x), 0, -1):
        if k in t.loss_times:
            h = np.tanh(c[k]) if cell == "memory" else c[k]
            error = h @ t.parameters["V"].T - t.targets[k - 1]
            lam = lam + (error @ t.parameters["V"]) * (1 - h * h if cell == "memory" else 1)
        by_a, by_W = by_a + (lam * c[k - 1]).sum(), by_W + lam.T @ x[k - 1]
        lam = a * lam
    assert abs(t.gradients["a"] - by_a / 3) <= 500 * eps * abs(by_a)
    for found, wanted in zip(t.gradients["W"].T, (by_W / 3).T, strict=True):  # each column on its own scale
        assert np.abs(found - wanted).max() <= 500 * eps * np.abs(wanted).max()


@pytest.mark.parametrize(("dtype", "w", "x"), [
    ("float64", 1e-250, 1e240), ("float64", 1.0, 1.0), ("float64", 1e200, 1e-210), ("float64", 3.9, 1.0),
    ("float32", 1e-25, 1e20), ("float32", 1e20, 1e-25), ("float32", 1.01, 1.0),
])  # fmt: skip
def test_an_overflow_is_at_the_step_where_the_state_leaves_the_range(dtype, w, x):
    w, x = (np.dtype(dtype).type(value) for value in (w, x))
    largest, h, step = Fraction(float(np.finfo(dtype).max)), Fraction(0), 0
    while h <= largest:
        h, step = Fraction(3, 2) * h + Fraction(float(w)) * Fraction(float(x)), step + 1
    shape = dict(hidden_size=1, input_size=1, output_size=1, batch_size=1, dtype=dtype)
    point = Point(cell="linear", activation="identity", length=step + 30, **shape)
    p = dict(a=1.5, W=[[w]], V=[[1.0]], d=[0.0])
    inputs = np.full((point.length, 1, 1), x)
    found = row(point, parameters=p, inputs=inputs)
    assert found["status"] == "overflow"
    assert f"at step {step} of" in found["status_detail"]
    assert trace(point, parameters=p, inputs=inputs).states[step - 1] < np.inf
    just = point.replace(length=step - 1)
    assert row(just, parameters=p, inputs=inputs[: step - 1])["status"] == "ok"


def test_a_state_that_is_infinite_for_a_while_has_overflowed():
    # the loop itself stays in range: 3e307 and falling, and four times that is not
    point = Point(cell="linear", activation="identity", length=90, hidden_size=1, input_size=1, batch_size=1)
    inputs = np.zeros((90, 1, 1))
    inputs[70] = 1.2e308
    p = dict(a=0.5, W=[[4.0]], V=np.ones((4, 1)), d=np.zeros(4))
    found = row(point, parameters=p, inputs=inputs)
    assert found["status"] == "overflow"
    assert "at step 71 of" in found["status_detail"]
    assert found["lag"][-1] == 69


def test_states_have_the_same_bits_however_they_are_asked_for():
    given = own("linear", "float64")
    point = given["point"]
    task = Task(point, given["parameters"], given["inputs"])
    one = stack([point], [task.all_parameters()], [task.all_inputs()], point.steps_with_loss)
    with numerics():
        tape = forward(one)
        assert isinstance(tape, Loops)
        assert not overflow_step(tape).any()
        segments = list(tape.segments())
        states = np.concatenate([s.states[bool(i) :] for i, s in enumerate(segments)])
        assert [(s.start, s.stop) for s in segments] == [(0, 64), (64, 128), (128, 150)]
        assert [s.start for s in tape.segments(backwards=True)] == [128, 64, 0]
        assert np.array_equal(tape.at([1, 70, 150]), states[[1, 70, 150]])
        assert np.array_equal(tape.last, states[-1])
        assert np.array_equal(segments[1].part(3, 9).states, states[67:74])
        assert np.array_equal(tape.cut(100).last, states[100])
        assert np.array_equal(np.concatenate([s.states[1:] for s in passing(one)]), states[1:])
        steps = segments[2]
        net = np.concatenate([s.net for s in segments])
        assert np.array_equal(steps.part(1, 2).net, net[129:130])
        assert np.allclose(states[1:], 0.9 * states[:-1] + net, rtol=1e-13, atol=1e-14 * np.abs(states).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_powers_of_a_loop_keep_their_digits_and_their_range(dtype):
    tiny, huge = (1e-200, 1e200) if dtype == "float64" else (1e-30, 1e30)
    a = np.array([1.0, -0.9, 0.5, tiny, huge, 0.0, 1.5], dtype)
    value, exponent = powers(a, 64)
    assert not exponent[:, [0, 1]].any()
    assert exponent[:, [3, 4]].any(axis=0).all()
    for p, one in enumerate(a.tolist()):
        for j in (0, 1, 2, 17, 64):
            wanted = Fraction(one) ** j
            found = Fraction(float(value[j, p])) * Fraction(2) ** int(exponent[j, p])
            assert abs(found - wanted) <= abs(wanted) * Fraction(j * float(np.finfo(dtype).eps)), (one, j)
        assert np.array_equal(powers(a[p : p + 1], 64)[0][:, 0], value[:, p])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("a", [1e-30, -0.3, 1.0, 1e20])
def test_error_terms_of_a_loop_are_powers_at_any_size(a, dtype):
    point = Point(cell="linear", length=70, hidden_size=3, input_size=2, batch_size=2, dtype=dtype, seed=1)
    t = trace(point, parameters=dict(a=a, W=np.zeros((3, 2)), V=np.eye(4, 3), d=np.zeros(4)))
    lag = 69 - np.arange(70)[:, None]
    eps = np.finfo(dtype).eps
    wanted = lag * np.log(abs(float(np.dtype(dtype).type(a)))) + t.ln_norms[0, -1]
    np.testing.assert_allclose(t.ln_norms[0], wanted, rtol=4e-15, atol=4 * eps * 70)
    assert np.array_equal(t.ln_norms, t.ln_adjoint_norms)
    sign = np.where(lag % 2 == 1, np.sign(a), 1)[..., None]
    np.testing.assert_allclose(t.error_terms[0], sign * t.error_terms[0, -1], rtol=0, atol=100 * eps)


def test_a_loop_of_zero_is_dead_behind_its_last_step():
    t = trace(Point(cell="linear", length=80, hidden_size=2, batch_size=2), parameters=None)
    assert t.status == "ok"
    own_ = dict(a=0.0, W=t.parameters["W"], V=t.parameters["V"], d=t.parameters["d"])
    dead = trace(t.point, parameters=own_, inputs=t.inputs)
    assert dead.status == "dead"
    assert np.isneginf(dead.ln_norms[0, :-1]).all()
    assert np.isfinite(dead.ln_norms[0, -1]).all()
    assert not dead.error_terms[0, :-1].any()
    delta = np.exp(dead.ln_norms[0, -1])[:, None] * dead.error_terms[0, -1]
    x = np.tanh(t.inputs[-1])  # g is tanh
    np.testing.assert_allclose(dead.gradients["W"], delta.T @ x / 2, rtol=1e-12)
