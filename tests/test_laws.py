"""The laws of a point's arrays: their variances, and what they do not depend on, so that points are paired."""

import numpy as np
import pytest
import reference
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS
from longlag.workers.points import cell_parameters

LARGE = dict(length=2, hidden_size=200, input_size=50, output_size=40, batch_size=100)


TURNED = {
    "lstm": slice(200, 400),
    "lstm_peephole": slice(200, 400),
    "gru": slice(0, 200),
    "mingru": slice(0, 200),
}
"""The biases that γ turns, at 200 units."""


def assert_normal(values, deviation):
    """Mean, spread and the share beyond one deviation are those of N(0, deviation²), to four standard errors."""
    n = values.size
    assert abs(values.mean()) <= 4 * deviation / np.sqrt(n)
    assert values.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * n))
    assert (np.abs(values) > deviation).mean() == pytest.approx(0.3173, abs=2 / np.sqrt(n))


@pytest.mark.parametrize("cell", CELLS)
def test_weights_read_out_biases_and_targets(cell):
    t = trace(Point(cell=cell, **LARGE))
    p = t.parameters
    assert_normal(p["W"], 1 / np.sqrt(50))
    assert_normal(p["V"], 1 / np.sqrt(200))
    assert not p["d"].any()
    assert not t.states[0].any()
    assert_normal(t.targets, 1.0)
    if "b" in p:
        turned = TURNED.get(cell, slice(0))
        assert not np.delete(p["b"], np.r_[turned]).any()
        assert len(set(p["b"][turned])) == (cell in TURNED)
    if "p" in p:
        assert_normal(p["p"], 0.1)


@pytest.mark.parametrize("name", ["gaussian", "uniform", "impulse", "zero"])
def test_inputs(name):
    x = trace(Point(**LARGE, input=name, input_scale=0.7)).inputs
    if name == "gaussian":
        assert_normal(x, 0.7)
    if name == "uniform":
        assert np.abs(x).max() <= 0.7 * np.sqrt(3)
        assert x.std() == pytest.approx(0.7, rel=0.02)
    if name == "impulse":
        assert_normal(x[0], 0.7)
    assert x[1:].any() == (name in ("gaussian", "uniform"))
    assert x[0].any() == (name != "zero")


def test_classes_are_uniform():
    t = trace(Point(loss="cross_entropy", length=500, output_size=5, hidden_size=2))
    assert t.targets.shape == (500, 16)
    counts = np.bincount(t.targets.ravel(), minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - 1600).max() < 4 * np.sqrt(1600)


def test_the_gaussian_ensemble():
    U = trace(Point(weights="gaussian", gamma_kind="gain", gamma=1.3, hidden_size=200, length=1)).parameters[
        "U"
    ]
    assert_normal(U, 1.3 / np.sqrt(200))


def test_the_orthogonal_ensemble_is_uniform():
    # for Haar measure the trace has mean 0 and variance 1 (Diaconis & Shahshahani 1994); a bare QR is biased
    shape = dict(activation="identity", hidden_size=5, length=1, batch_size=1)
    traces = [np.trace(trace(Point(seed=seed, **shape)).parameters["U"]) for seed in range(300)]
    assert abs(np.mean(traces)) <= 4 / np.sqrt(300)
    assert np.var(traces) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_blocks_are_drawn_one_by_one_and_the_first_is_shared(weights):
    shape = dict(hidden_size=20, length=1, weights=weights)
    first = trace(Point(gamma=1.0, gamma_kind="gain", **shape)).parameters["U"]
    for cell in CELLS:
        if "recurrent_gain" not in cell_parameters(cell):
            continue
        U = trace(Point(cell=cell, recurrent_gain=2.0, **shape)).parameters["U"]
        blocks = np.split(U, reference.blocks(cell))
        np.testing.assert_array_equal(blocks[0], 2.0 * first)
        assert len({block.tobytes() for block in blocks}) == len(blocks)


@pytest.mark.parametrize(
    "changes", [dict(gamma=0.6), dict(length=9), dict(gamma_kind="gain"), dict(loss_times="every")], ids=str
)
def test_points_that_differ_in_one_axis_are_paired(changes):
    shape = dict(length=5, hidden_size=6, input_size=3, output_size=2, batch_size=4)
    for cell in CELLS:
        if changes.get("gamma_kind") and cell not in ("simple", "residual"):
            continue
        one, other = trace(Point(cell=cell, **shape)), trace(Point(cell=cell, **(shape | changes)))
        for name in ("W", "V"):
            np.testing.assert_array_equal(one.parameters[name], other.parameters[name])
        np.testing.assert_array_equal(one.inputs, other.inputs[:5])
        np.testing.assert_array_equal(one.targets, other.targets[:5])


def test_inputs_and_targets_do_not_depend_on_the_cell_but_on_the_seed():
    shape = dict(length=5, hidden_size=6, input_size=3, output_size=2, batch_size=4)
    traces = [trace(Point(cell=cell, **shape)) for cell in CELLS]
    for t in traces[1:]:
        np.testing.assert_array_equal(t.inputs, traces[0].inputs)
        np.testing.assert_array_equal(t.targets, traces[0].targets)
        np.testing.assert_array_equal(t.parameters["V"], traces[0].parameters["V"])
    other = trace(Point(seed=1, **shape))
    for a, b in ((other.inputs, traces[0].inputs), (other.targets, traces[0].targets)):
        assert (a != b).all()
    streams = [
        np.ravel(a)[:8] for a in (other.inputs, other.targets, *other.parameters.values()) if np.any(a)
    ]
    assert len({stream.tobytes() for stream in streams}) == len(streams)


def uniform_on(values, low, high):
    """The Kolmogorov–Smirnov distance to the uniform law is below its 1 % point."""
    share = (np.sort(values) - low) / (high - low)
    n = len(share)
    assert share[0] >= -1e-12
    assert share[-1] <= 1 + 1e-12
    steps = np.arange(n + 1) / n
    assert max((steps[1:] - share).max(), (share - steps[:-1]).max()) <= 1.63 / np.sqrt(n)


@pytest.mark.parametrize("least", [0.0, 0.8])
def test_27_eigenvalues_of_the_diagonal_cell_fill_a_ring(least):
    gamma = 0.95
    p = trace(Point(cell="diagonal", gamma=gamma, rho_min=least, hidden_size=4000, length=1)).parameters
    assert p["rho"].max() == gamma
    rest = np.delete(p["rho"], np.argmax(p["rho"]))
    uniform_on(rest**2, (least * gamma) ** 2, gamma**2)
    uniform_on(p["theta"], 0.0, 2 * np.pi)
    assert abs(np.corrcoef(p["rho"], p["theta"])[0, 1]) < 4 / np.sqrt(2000)


def test_a_ring_without_width_is_a_circle_and_one_pair_is_at_its_rim():
    p = trace(Point(cell="diagonal", gamma=0.7, rho_min=1.0, hidden_size=20, length=1)).parameters
    assert (p["rho"] == 0.7).all()
    assert trace(Point(cell="diagonal", gamma=0.7, hidden_size=2, length=1)).parameters["rho"] == [0.7]


@pytest.mark.parametrize("cell", TURNED)
@pytest.mark.parametrize("longest", [2, 10, 1000])
def test_20_chrono_gates(cell, longest):
    # b = ln u, u uniform on [1, T_max − 1]; b = ln(T_max − 1) gives the gate (T_max − 1)/T_max = gamma
    gamma = (longest - 1) / longest
    N = 200
    p = trace(
        Point(cell=cell, gamma=gamma, gate_init="chrono", gate_bias=0.3, **LARGE)
        if cell != "mingru"
        else Point(cell=cell, gamma=gamma, gate_init="chrono", **LARGE)
    ).parameters
    b = p["b"][TURNED[cell]]
    gates = 1 / (1 + np.exp(-b))
    assert gates.min() >= 0.5
    assert gates.max() <= gamma * (1 + 1e-12)
    if longest > 2:
        uniform_on(np.exp(b), 1.0, longest - 1.0)
    else:
        np.testing.assert_allclose(b, 0.0, atol=1e-15)
    if cell.startswith("lstm"):
        np.testing.assert_array_equal(p["b"][:N], -b)
        assert (p["b"][2 * N : 3 * N] == 0.3).all()
        assert not p["b"][3 * N :].any()
    if cell == "gru":
        assert (p["b"][N : 2 * N] == 0.3).all()
        assert not p["b"][2 * N :].any()
    constant = trace(Point(cell=cell, gamma=gamma, **LARGE)).parameters
    for name in set(p) - {"b"}:
        np.testing.assert_array_equal(p[name], constant[name])


def test_20_the_longest_chrono_gate_is_gamma():
    # the bound of the law itself: ln(T_max − 1) as a bias, for a gate of the cell's own γ
    for longest in (2, 7, 1e3, 1e9):
        gamma = (longest - 1) / longest
        point = Point(cell="mingru", gamma=gamma, hidden_size=2, length=2, input="zero")
        t = trace(point, parameters={"b": [np.log(longest - 1)] * 2 + [0.0] * 2})
        keep = np.exp(t.ln_adjoint_norms[0, 0] - t.ln_adjoint_norms[0, 1])
        np.testing.assert_allclose(keep, gamma, rtol=1e-12)


@pytest.mark.parametrize("cell", TURNED)
def test_chrono_gates_of_two_gammas_are_paired(cell):
    shape = dict(cell=cell, gate_init="chrono", hidden_size=200, length=1)
    u = {g: np.exp(trace(Point(gamma=g, **shape)).parameters["b"][TURNED[cell]]) for g in (0.75, 0.9)}
    np.testing.assert_allclose((u[0.75] - 1) / 2, (u[0.9] - 1) / 8, rtol=0, atol=1e-12)
    for gamma in (0.0, 0.499, 1.0, 1.5):
        with pytest.raises(ValueError, match=r"give one from 0\.5 to below 1"):
            trace(Point(gamma=gamma, **shape))


def test_eigenvalues_of_two_gammas_are_paired():
    shape = dict(cell="diagonal", hidden_size=20, length=1)
    one, other = (trace(Point(gamma=gamma, **shape)).parameters for gamma in (0.5, 1.0))
    np.testing.assert_array_equal(one["rho"], other["rho"] / 2)
    for name in ("theta", "W", "V"):
        np.testing.assert_array_equal(one[name], other[name])
