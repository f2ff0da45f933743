"""Gates: recomputed from the net inputs by plain loops, and closed forms of constant gates."""

from math import inf, log

import numpy as np
import pytest
import reference
from helpers import row
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS
from longlag.workers.errors import InvalidPoint
from longlag.workers.points import cell_parameters

GATED = [name for name, cell in CELLS.items() if cell.keep_gate is not None]
LOGISTIC = {
    "lstm": ("i", "f", "o"),
    "lstm_peephole": ("i", "f", "o"),
    "lstm_1997": ("i", "o"),
    "gru": ("k", "r"),
    "mingru": ("k",),
}


def measured(point, **given):
    return row(point, probes=["gates"], **given)


def had_by(cell, **given):
    """Those of the parameters that the cell has."""
    return {name: value for name, value in given.items() if name in cell_parameters(cell)}


def test_the_blocks_that_a_cell_calls_logistic_are():
    for cell in CELLS.values():
        assert cell.logistic_gates == LOGISTIC.get(cell.name, ())
        assert cell.keep_gate is None or cell.gates[cell.keep_gate] in cell.logistic_gates


@pytest.mark.parametrize("cell", GATED)
def test_times_and_fractions_are_those_of_the_net_inputs(cell):
    N, T = 6, 9
    more = had_by(cell, gate_bias=0.5)
    point = Point(cell=cell, gamma=0.8, length=T, hidden_size=N, batch_size=3, input_scale=4.0, **more)
    found, t = measured(point), trace(point)
    kind = CELLS[cell]
    for letter in "ifokr":
        counts = (found[f"gate_open_{letter}"], found[f"gate_closed_{letter}"])
        if letter not in LOGISTIC[cell]:
            assert counts == (None, None)
            continue
        at = kind.gates.index(letter) * N
        value = reference.logistic(t.net_inputs[..., at : at + N])
        assert counts == (pytest.approx((value > 0.9).mean()), pytest.approx((value < 0.1).mean()))
        assert counts[0] > 0
    assert kind.keep_gate is not None
    value = reference.logistic(t.net_inputs[..., kind.keep_gate * N : (kind.keep_gate + 1) * N])
    times = -1 / np.log(value).mean(axis=(0, 1))
    np.testing.assert_allclose(found["gate_time"], times, rtol=1e-12)
    assert found["gate_time_median"] == pytest.approx(np.median(times), rel=1e-12)
    assert found["gate_step"] == list(range(1, T + 1))
    np.testing.assert_allclose(found["keep_open_curve"], (value > 0.9).mean(axis=(1, 2)), rtol=1e-14)
    np.testing.assert_allclose(found["keep_closed_curve"], (value < 0.1).mean(axis=(1, 2)), rtol=1e-14)


@pytest.mark.parametrize("gamma", [0.05, 0.5, 0.99, 0.999])
@pytest.mark.parametrize("cell", GATED)
def test_a_constant_gate_has_the_time_of_its_value(cell, gamma):
    N = 4
    still = had_by(cell, recurrent_gain=0.0)
    point = Point(cell=cell, gamma=gamma, length=30, hidden_size=N, input="zero", **still)
    own = {"p": np.zeros(3 * N)} if "p" in CELLS[cell].arrays else {}
    found = measured(point, parameters=own)
    np.testing.assert_allclose(found["gate_time"], -1 / log(gamma), rtol=1e-12)
    assert found["gate_time_median"] == pytest.approx(-1 / log(gamma), rel=1e-12)
    assert found["keep_open_curve"] == [float(gamma > 0.9)] * 30
    assert found["keep_closed_curve"] == [float(gamma < 0.1)] * 30


def test_a_gate_that_never_closes_keeps_forever():
    b = np.repeat([0.0, 800.0, 0.0, 0.0], 3)
    found = measured(Point(cell="lstm", length=5, hidden_size=3), parameters={"b": b})
    assert found["gate_time"] == [inf] * 3
    assert found["gate_time_median"] == inf
    found = measured(Point(cell="lstm", length=5, hidden_size=3), parameters={"b": -b})
    np.testing.assert_allclose(found["gate_time"], 1 / 800, rtol=0.02)


def test_cells_without_a_keep_gate_say_so():
    for name, cell in CELLS.items():
        if cell.keep_gate is None:
            with pytest.raises(InvalidPoint, match=rf"{name} cell has no gate .*: lstm"):
                measured(Point(cell=name, length=2))
