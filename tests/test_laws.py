"""The laws of a point's arrays: their variances, and what they do not depend on, so that points are paired."""

import numpy as np
import pytest
import reference
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS
from longlag.workers.points import cell_parameters

LARGE = dict(length=2, hidden_size=200, input_size=50, output_size=40, batch_size=100)


def normal_with(values, deviation):
    """Mean, spread and the share beyond one deviation are those of N(0, deviation²), to four standard errors."""
    n = values.size
    assert abs(values.mean()) <= 4 * deviation / np.sqrt(n)
    assert values.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * n))
    assert (np.abs(values) > deviation).mean() == pytest.approx(0.3173, abs=2 / np.sqrt(n))


@pytest.mark.parametrize("cell", CELLS)
def test_weights_read_out_biases_and_targets(cell):
    t = trace(Point(cell=cell, **LARGE))
    p = t.parameters
    normal_with(p["W"], 1 / np.sqrt(50))
    normal_with(p["V"], 1 / np.sqrt(200))
    assert not p["d"].any()
    assert not t.states[0].any()
    normal_with(t.targets, 1.0)
    if "b" in p:
        turned = {"lstm": slice(200, 400), "gru": slice(0, 200)}.get(cell, slice(0))
        assert not np.delete(p["b"], np.r_[turned]).any()
        assert len(set(p["b"][turned])) == (cell in ("lstm", "gru"))


@pytest.mark.parametrize("name", ["gaussian", "uniform", "impulse", "zero"])
def test_inputs(name):
    x = trace(Point(**LARGE, input=name, input_scale=0.7)).inputs
    if name == "gaussian":
        normal_with(x, 0.7)
    if name == "uniform":
        assert np.abs(x).max() <= 0.7 * np.sqrt(3)
        assert x.std() == pytest.approx(0.7, rel=0.02)
    if name == "impulse":
        normal_with(x[0], 0.7)
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
    normal_with(U, 1.3 / np.sqrt(200))


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
