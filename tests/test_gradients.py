"""Every gradient and error term of ``trace`` against the reference, over the whole registry (check 3)."""

from itertools import product

import numpy as np
import pytest
import reference
from helpers import fitting, label
from longlag.workers import Point, trace
from longlag.workers.cells import CELLS
from longlag.workers.points import cell_parameters

AXES = {
    "activation": ("tanh", "logistic", "relu", "identity"),
    "leak": (0.3, 1.0),
    "reset": ("before", "after"),
    "gradient": ("full", "truncated"),
}
"""What the step of a cell depends on besides its parameters."""

SHAPES = [
    dict(length=6, hidden_size=5, input_size=3, output_size=4, batch_size=2, loss_times="last"),
    dict(length=7, hidden_size=3, input_size=4, output_size=2, batch_size=3, loss_times="3"),
    dict(length=5, hidden_size=2, input_size=1, output_size=3, batch_size=1, loss_times="every"),
    dict(length=1, hidden_size=1, input_size=2, output_size=2, batch_size=1, loss_times="last"),
]


def variants():
    """Every cell with every value of the axes that it has."""
    found = []
    for cell in CELLS:
        own = [name for name in AXES if name in cell_parameters(cell)]
        for values in product(*(AXES[name] for name in own)):
            found.append(dict(cell=cell, **dict(zip(own, values, strict=True))))
    return found


def arrays(t):
    """What the reference needs of a trace, in double precision."""
    p = {name: np.asarray(value, dtype=float) for name, value in t.parameters.items()}
    return p, np.asarray(t.inputs, dtype=float), np.asarray(t.targets), tuple(map(int, t.loss_times))


def assert_same(t, point, tolerance):
    """Forward arrays, gradients relative to the largest entry, error terms as unit vectors and logarithms."""
    given = arrays(t)
    run = reference.run(point, *given)
    for name in ("states", "net_inputs", "outputs"):
        np.testing.assert_allclose(
            getattr(t, name), getattr(run, name), rtol=tolerance, atol=tolerance, err_msg=name
        )
    assert t.loss == pytest.approx(run.loss, rel=tolerance)
    wanted = reference.gradients(point, *given)
    assert set(t.gradients) == set(t.parameters) == set(wanted)
    for name, gradient in wanted.items():
        atol = tolerance * max(np.abs(gradient).max(), 1e-300)
        np.testing.assert_allclose(t.gradients[name], gradient, rtol=0, atol=atol, err_msg=f"∂L/∂{name}")
    assert_error_terms(t, *reference.split(reference.error_terms(point, *given)), tolerance)


def assert_error_terms(t, units, logs, tolerance):
    assert t.error_terms.shape == units.shape
    assert t.ln_norms.shape == logs.shape
    alive = np.isfinite(logs)
    np.testing.assert_array_equal(np.isneginf(t.ln_norms), ~alive)
    np.testing.assert_allclose(t.ln_norms[alive], logs[alive], rtol=0, atol=tolerance)
    np.testing.assert_allclose(t.error_terms, units, rtol=0, atol=tolerance)
    assert not t.error_terms[~alive].any()


@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_knows_every_registered_cell(cell):
    assert cell in reference.STEPS, (
        f"cell {cell!r} is registered but tests/reference.py has no step for it: write it there from its row "
        "of docs/reference.md, without looking at the engine's"
    )
    point = Point(cell=cell, length=2, hidden_size=4, input_size=2, output_size=3)
    found = {name: np.shape(value) for name, value in trace(point).parameters.items()}
    assert found == reference.shapes(point)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"T{s['length']}-{s['loss_times']}")
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("options", variants(), ids=label)
def test_3_gradients_and_error_terms_equal_complex_step(options, loss, shape):
    point = Point(**options, **fitting(options["cell"], shape), loss=loss)
    p, x = reference.draw(point, seed=len(label(options)))
    assert_same(trace(point, parameters=p, inputs=x), point, 1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(gate_bias=0.7),
        dict(recurrent_gain=1.7),
        dict(weights="gaussian"),
        dict(gate_init="chrono"),
        dict(rho_min=0.8),
    ],
    ids=label,
)
@pytest.mark.parametrize("cell", CELLS)
def test_3_with_the_parameters_and_inputs_that_the_point_draws(cell, changes):
    if not set(changes) <= set(cell_parameters(cell)):
        changes = dict(gamma=0.8, input="uniform", input_scale=0.3)
    shape = dict(length=6, hidden_size=4, input_size=3, output_size=2, batch_size=2, loss_times="2")
    point = Point(cell=cell, **shape, **changes)
    assert_same(trace(point), point, 1e-12)


@pytest.mark.parametrize("options", variants(), ids=label)
def test_3_in_float32_to_1e_5(options):
    shape = dict(length=8, hidden_size=5, input_size=3, output_size=4, batch_size=2, loss_times="2")
    point = Point(**options, **fitting(options["cell"], shape), dtype="float32")
    p, x = reference.draw(point, seed=5)
    t = trace(point, parameters=p, inputs=x)
    for name in ("states", "net_inputs", "outputs", "error_terms"):
        assert getattr(t, name).dtype == np.float32, name
    assert_same(t, point, 1e-5)


@pytest.mark.parametrize("cell", ["simple", "residual"])
def test_3_relu_equals_central_differences_of_order_two(cell):
    shape = dict(length=6, hidden_size=4, input_size=3, output_size=2, batch_size=2, loss_times="every")
    point = Point(cell=cell, activation="relu", **shape)
    p, x = reference.draw(point, seed=11)
    t = trace(point, parameters=p, inputs=x)
    assert 0.2 < (t.net_inputs > 0).mean() < 0.8
    assert np.abs(t.net_inputs).min() > 5e-3, "too near a kink for these steps: take another seed"
    for name in t.parameters:
        errors = []
        for h in (8e-4, 4e-4):
            difference = reference.central_gradient(point, *arrays(t), name=name, h=h)
            errors.append(np.abs(difference - t.gradients[name]).max())
        assert errors[1] <= 1e-5 * np.abs(t.gradients[name]).max(), name
        if errors[1] > 1e-10:  # V and d enter L as a quadratic, which central differences have exactly
            assert errors[0] / errors[1] == pytest.approx(4, rel=0.05), name


@pytest.mark.parametrize("options", variants(), ids=label)
def test_error_terms_equal_the_explicit_product_of_jacobians(options):
    shape = dict(length=40, hidden_size=5, input_size=2, output_size=3, batch_size=2, loss_times="4")
    point = Point(**options, **fitting(options["cell"], shape))
    p, x = reference.draw(point, seed=21, scale=0.4)
    t = trace(point, parameters=p, inputs=x)
    units, logs = np.zeros_like(t.error_terms), np.full_like(t.ln_norms, -np.inf)
    p, x, y, times = arrays(t)
    for r, end in enumerate(times):
        units[r, :end], logs[r, :end], *_ = reference.products(point, p, t.states, x, y, end)
    assert_error_terms(t, units, logs, 1e-12)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("options", variants(), ids=label)
def test_3_a_random_contraction_of_all_gradients_over_a_longer_sequence(options, loss):
    shape = dict(length=60, hidden_size=17, input_size=5, output_size=7, batch_size=6, loss_times="5")
    point = Point(**options, **fitting(options["cell"], shape), loss=loss)
    p, x = reference.draw(point, seed=31, scale=0.2)
    t = trace(point, parameters=p, inputs=x)
    rng = np.random.default_rng(32)
    directions = {name: rng.standard_normal(np.shape(value)) for name, value in p.items()}
    parts = [np.sum(t.gradients[name] * direction) for name, direction in directions.items()]
    size = sum(np.linalg.norm(t.gradients[name]) * np.linalg.norm(d) for name, d in directions.items())
    assert sum(parts) == pytest.approx(reference.directional(point, *arrays(t), directions), abs=1e-13 * size)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"T{s['length']}-{s['loss_times']}")
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_3_gru_with_a_bias_inside_the_reset_product(loss, shape):
    point = Point(cell="gru", reset="after", **shape, loss=loss)
    p, x = reference.draw(point, seed=41)
    p["b_u"] = 0.6 * np.random.default_rng(42).standard_normal(point.hidden_size)
    assert_same(trace(point, parameters=p, inputs=x), point, 1e-12)
    only = trace(point, parameters={"b_u": p["b_u"]})  # the others are drawn
    assert_same(only, point, 1e-12)
    assert np.abs(only.gradients["b_u"]).max() > 0


def test_a_bias_inside_the_reset_product_is_refused_where_there_is_none():
    for options, reason in (
        (dict(cell="gru", reset="before"), "reset = 'before'.*give reset = 'after'"),
        (dict(cell="lstm"), "the lstm cell has no array 'b_u'"),
    ):
        with pytest.raises(ValueError, match=reason):
            trace(Point(**options, hidden_size=4), parameters={"b_u": np.zeros(4)})
    with pytest.raises(ValueError, match=r"b_u of the gru cell has shape \(3,\): this point needs \(4,\)"):
        trace(Point(cell="gru", reset="after", hidden_size=4), parameters={"b_u": np.zeros(3)})
    assert "b_u" not in trace(Point(cell="gru", reset="after", hidden_size=4)).parameters


def test_the_gradient_of_1997_is_truncated_in_time_and_equal_at_the_last_step():
    shape = dict(cell="lstm_1997", length=9, hidden_size=4, batch_size=2, gamma=0.9)
    full, truncated = (trace(Point(**shape, gradient=kind)) for kind in ("full", "truncated"))
    for name in ("states", "net_inputs", "outputs", "loss"):
        np.testing.assert_array_equal(getattr(full, name), getattr(truncated, name))
    np.testing.assert_array_equal(full.error_terms[0, -1], truncated.error_terms[0, -1])
    assert not truncated.error_terms[0, :-1, :, 4:8].any()  # an output gate is seen by h alone
    assert full.error_terms[0, :-1, :, 4:8].any()
    # the carousel alone: ∂c_T/∂c_k = a^ℓ
    fall = truncated.ln_adjoint_norms[0, :-1] - truncated.ln_adjoint_norms[0, -2]
    wanted = (np.arange(8)[::-1] * np.log(0.9))[:, None]
    np.testing.assert_allclose(fall, np.broadcast_to(wanted, fall.shape), rtol=0, atol=1e-13)
