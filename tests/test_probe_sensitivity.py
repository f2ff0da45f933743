"""Forward sensitivity: closed forms of the scalar loop, and complex steps through every cell."""

from math import inf, log

import numpy as np
import pytest
import reference
from helpers import label, row
from longlag.workers import Point, measure, trace
from longlag.workers.cells import CELLS
from longlag.workers.errors import InvalidPoint


def measured(point, **given):
    return row(point, probes=["sensitivity"], **given)


def recurrent(parameters):
    """Names of the arrays that multiply the old state: the others act on the input or on h."""
    return [name for name in parameters if name not in ("W", "b", "V", "d")]


@pytest.mark.parametrize("options", [
    *(dict(cell=cell) for cell in CELLS), dict(activation="logistic"), dict(activation="relu"),
    dict(cell="gru", reset="after"), dict(loss_times="2"), dict(gamma=1.4, weights="gaussian", input_scale=2.0),
], ids=label)  # fmt: skip
def test_every_derivative_is_a_complex_step(options):
    T, B = 70, 6
    point = Point(**options, length=T, hidden_size=4, input_size=2, output_size=1, batch_size=B)
    t = trace(point)
    if not recurrent(t.parameters):
        with pytest.raises(InvalidPoint, match="has no parameter that multiplies its old state"):
            measured(point)
        return
    found = measured(point)
    squares = np.zeros((4, 4))  # column, unit
    for name in recurrent(t.parameters):
        value = t.parameters[name]
        for index in np.ndindex(np.shape(value)):
            moved = np.array(value, complex)
            moved[index] += 1j * reference.H
            p = {**t.parameters, name: moved}
            states = reference.run(point, p, t.inputs[:, :4], t.targets[:, :4], (T,)).states[-1]
            squares += (reference.hidden(point, p, states).imag / reference.H) ** 2
    h = reference.hidden(point, t.parameters, t.states[-1])
    assert found["sensitivity_square"] == pytest.approx(squares.mean(), rel=1e-10)
    assert found["ln_sensitivity_square"] == pytest.approx(log(squares.mean()), abs=1e-10)
    assert found["hidden_square"] == pytest.approx((h**2).mean(), rel=1e-12)
    assert found["ln_hidden_square"] == pytest.approx(log((h**2).mean()), abs=1e-12)


def test_the_arrays_that_a_cell_calls_recurrent_are_those_that_multiply_its_state():
    for cell in CELLS.values():
        assert sorted(cell.recurrent) == sorted(recurrent(cell.arrays)), cell.name


def test_the_scalar_loop_for_given_inputs():
    a, T = 0.9, 50
    point = Point(
        cell="linear", activation="identity", gamma=a, length=T, hidden_size=1, input_size=1, batch_size=3
    )
    x = np.random.default_rng(1).standard_normal((T, 3, 1))
    found = measured(point, inputs=x, parameters={"W": np.ones((1, 1))})
    past = np.arange(T)[::-1, None]
    h = (a**past * x[..., 0]).sum(axis=0)
    dh = (past * a ** (past - 1.0) * x[..., 0]).sum(axis=0)
    assert found["hidden_square"] == pytest.approx((h**2).mean(), rel=1e-13)
    assert found["sensitivity_square"] == pytest.approx((dh**2).mean(), rel=1e-12)


@pytest.mark.parametrize("a", [0.5, 0.9, -0.9])
def test_white_inputs_have_the_limits_of_zucchet_and_orvieto(a):
    N, seeds = 50, 20
    shape = dict(cell="linear", activation="identity", length=200, hidden_size=N, input_size=N, batch_size=4)
    own = {"W": np.eye(N), "a": np.array(a)}  # units see different inputs: all samples are independent
    points = [Point(**shape, seed=seed) for seed in range(seeds)]
    rows = measure(points, own, probes=["sensitivity"]).to_pylist()
    error = 4 * np.sqrt(2 / (N * 4 * seeds))  # four standard errors of a mean of squares of normal numbers
    h2, s2 = (np.mean([r[name] for r in rows]) for name in ("hidden_square", "sensitivity_square"))
    assert h2 == pytest.approx(1 / (1 - a**2), rel=error)
    assert s2 == pytest.approx((1 + a**2) / (1 - a**2) ** 3, rel=error)


@pytest.mark.parametrize("a", [2.0, 0.5])
def test_logarithms_where_squares_leave_the_range(a):
    T = 700
    shape = dict(cell="linear", activation="identity", length=T, hidden_size=1, input_size=1, batch_size=1)
    x = np.zeros((T, 1, 1))
    x[0] = 3.0
    found = measured(Point(**shape, gamma=a), inputs=x, parameters={"W": np.ones((1, 1))})
    assert found["ln_hidden_square"] == pytest.approx(2 * ((T - 1) * log(a) + log(3)), rel=1e-14)
    wanted = 2 * (log(T - 1) + (T - 2) * log(a) + log(3))
    assert found["ln_sensitivity_square"] == pytest.approx(wanted, rel=1e-13)
    assert found["sensitivity_square"] == (inf if a > 1 else 0.0)


def test_a_state_at_rest_has_no_size_and_no_sensitivity():
    found = measured(Point(input="zero", length=5, hidden_size=3))
    assert found["hidden_square"] == found["sensitivity_square"] == 0
    assert found["ln_hidden_square"] == found["ln_sensitivity_square"] == -inf


def test_many_rows_go_in_blocks_that_sum_to_the_same():
    point = Point(activation="identity", length=6, hidden_size=150, input_size=3, batch_size=5)
    t = trace(point)
    U, h = t.parameters["U"], t.states[:, :4]
    squares = np.zeros((4, 150))
    for i in range(150):
        row_ = np.tile(np.eye(150)[i], (4, 1))
        gradient = np.zeros((4, 150, 150))
        for k in range(6, 0, -1):
            gradient += row_[:, :, None] * h[k - 1][:, None]
            row_ = row_ @ U
        squares[:, i] = (gradient**2).sum(axis=(1, 2))
    assert measured(point)["sensitivity_square"] == pytest.approx(squares.mean(), rel=1e-12)
