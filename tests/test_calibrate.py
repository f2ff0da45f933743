"""gamma_kind "realised": the knob found gives the decay asked for, by other means of measuring it than its own."""

import math

import numpy as np
import pyarrow as pa
import pytest
import reference
from helpers import row
from longlag.workers import Point, calibrate, cost, measure, trace
from longlag.workers.cells import CELLS
from longlag.workers.errors import InvalidPoint, Unreachable
from longlag.workers.inputs import INPUTS
from longlag.workers.kernel import numerics
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.stack import draw_parameters
from longlag.workers.weights import stream

SMALL = dict(gamma_kind="realised", hidden_size=6, input_size=2, batch_size=2, length=20)


def found(points):
    with numerics():
        return calibrate.calibrate(points)


def by_jacobians(point, name):
    """The realised γ of a point whose knob is set: explicit Jacobians by complex step, the rows times each."""
    T, Q = calibrate.STEPS, calibrate.ROWS
    seed = int(stream(point.seed, "calibration", name).integers(2**63))
    x = INPUTS[point.input](seed, (T, 1, point.input_size)) * point.input_scale
    p, still = draw_parameters(point), np.zeros((1, reference.blocks(point.cell) * point.hidden_size))
    S = reference.width(point.cell) * point.hidden_size
    states = [np.zeros((1, S))]
    for k in range(T):
        states.append(reference.STEPS[point.cell](point, p, states[-1], x[k], still)[0])
    jacobians, _ = reference.step_jacobians(point, p, np.array(states), x)
    rows = stream(seed, "rows").standard_normal((Q, S // point.hidden_size, point.hidden_size)).reshape(Q, S)
    ln, at = np.zeros(Q), {}
    for lag in range(T):
        norm = np.linalg.norm(rows, axis=1)
        ln, rows = ln + np.log(norm), rows / norm[:, None]
        at[lag] = ln.mean()
        rows = rows @ jacobians[T - 1 - lag, 0]
    return (at[T - 1] - at[T // 10]) / (T - 1 - T // 10)


@pytest.mark.parametrize("cell", sorted(set(CELLS) & set(reference.STEPS)))
def test_the_rate_at_the_knob_is_the_one_asked_for(cell):
    target = 0.8
    point = Point(cell=cell, gamma=target, input_scale=0.7, seed=3, **SMALL)
    one = found([point])[0]
    assert one.point is not None, one.why
    assert abs(by_jacobians(one.point, "scan") - math.log(target)) < 2e-3
    assert by_jacobians(one.point, "recheck") == pytest.approx(math.log(one.recheck), abs=1e-9)
    values = row(point)
    assert (values["knob"], values["gamma_recheck"]) == (one.point.gamma, one.recheck)
    assert values["knob_crossings"] == one.crossings >= 1
    plain = row(one.point)
    assert plain["knob"] is plain["knob_crossings"] is plain["gamma_recheck"] is None
    own = ("point_id", "gamma", "gamma_kind", "seconds", "knob", "knob_crossings", "gamma_recheck")
    assert {k: v for k, v in values.items() if k not in own} == {
        k: v for k, v in plain.items() if k not in own
    }
    for name, array in trace(one.point).parameters.items():
        np.testing.assert_array_equal(trace(point).parameters[name], array)


@pytest.mark.parametrize("cell", ["linear", "memory"])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5])
def test_where_the_rate_is_the_knob_the_knob_is_the_rate(cell, gamma):
    assert row(Point(cell=cell, gamma=gamma, **SMALL))["knob"] == pytest.approx(gamma, rel=1e-9)
    linear = row(Point(activation="identity", gamma=gamma, **SMALL))
    assert linear["knob"] == pytest.approx(gamma, rel=1e-9)


def test_tanh_at_rate_one_is_where_mean_field_has_it():
    """Mean field (Schoenholz et al. 2017) has χ = 1 at gain 1.5497 for N → ∞ and inputs of sd 0.5."""
    points = [
        Point(gamma=1.0, gamma_kind="realised", input_scale=0.5, hidden_size=128, seed=s) for s in range(6)
    ]
    knobs = [one.point.gamma for one in found(points)]
    assert np.mean(knobs) == pytest.approx(1.5497, rel=0.015)
    long = [dict(gamma_kind="realised", length=1500, batch_size=1, hidden_size=128, input_scale=0.5)] * 3
    rates = measure([Point(gamma=1.0, seed=s, **shape) for s, shape in enumerate(long)])["gamma_realised"]
    assert np.exp(np.mean(np.log(rates.to_numpy()))) == pytest.approx(1.0, abs=0.01)


def test_of_two_knobs_it_is_the_one_where_the_rate_rises():
    point = Point(weights="identity", gamma=0.5, **SMALL)  # units lock beyond gain 1: γ rises, then falls
    one = found([point])[0]
    assert one.crossings == 2
    assert one.point.gamma < 1
    rates = [by_jacobians(one.point.replace(gamma=one.point.gamma * f), "scan") for f in (0.97, 1.03)]
    assert rates[0] < math.log(0.5) < rates[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(weights="identity", gamma=1.2), "nearest is"),
        (dict(cell="residual", gamma=0.3), "gain 0.015625"),
        (dict(cell="lstm", gamma=1.3), "nominal 0.999994"),
        (dict(gamma=0.0), "give one above 0"),
        (dict(cell="linear", gamma=80.0), "the state overflows at nominal"),
        (dict(activation="identity", gamma=0.9, input_scale=1e308), "the state overflows at gain"),
    ],
    ids=str,
)
def test_out_of_reach_is_a_status_and_an_error_of_one_line(changes, says):
    point = Point(**SMALL | changes)
    values = row(point)
    assert values["status"] == "unreachable"
    assert f"gamma = {point.gamma:g}" in values["status_detail"]
    assert says in values["status_detail"]
    assert "\n" not in values["status_detail"]
    assert values["knob"] is values["gamma_recheck"] is values["loss_value"] is None
    with pytest.raises(Unreachable) as refused:
        trace(point)
    assert str(refused.value) == values["status_detail"]
    assert isinstance(refused.value, ValueError)


def test_a_bracket_that_ends_in_overflow_is_halved_until_it_does_not():
    # float32: at gain 1.24 a state grows beyond range within the 400 steps, so the scan has nothing above 1
    point = Point(activation="identity", gamma=1.2, dtype="float32", **SMALL)
    assert row(point)["knob"] == pytest.approx(1.2, rel=1e-4)


def test_a_peak_between_two_knobs_of_the_scan_is_found():
    point = Point(gamma=0.89, **SMALL)  # gain 2 gives 0.884, gain 4 less again
    one = found([point])[0]
    assert one.crossings == 2
    assert abs(by_jacobians(one.point, "scan") - math.log(0.89)) < 2e-3


def test_own_arrays_are_whole_or_beside_the_state():
    point = Point(gamma=0.8, **SMALL)
    drawn = trace(point).parameters
    values = row(point, parameters=drawn)
    assert values["status"] == "ok"
    assert values["knob"] is None
    assert row(point, parameters={"V": 2 * drawn["V"]})["knob"] == row(point)["knob"]
    for partly in (("U",), ("U", "W", "b"), ("W", "V", "d")):
        with pytest.raises(InvalidPoint, match="give every array"):
            measure(point, parameters={name: drawn[name] for name in partly})


def test_points_that_are_done_drop_out_and_no_point_moves_another(monkeypatch):
    points = [Point(cell="linear", gamma=0.8, **SMALL), Point(cell="linear", gamma=3.1, seed=1, **SMALL)]
    points += [Point(cell="linear", gamma=90.0, **SMALL)]
    alone = [found([point])[0] for point in points]
    measured, plain = [], calibrate._decay

    def counted(trials, arrays, name):
        measured.append(sorted((t.seed, t.gamma) for t in trials))
        return plain(trials, arrays, name)

    monkeypatch.setattr(calibrate, "_decay", counted)
    assert found(points) == alone
    assert [len(one) for one in measured[: calibrate.SCANNED]] == [3] * calibrate.SCANNED
    # what is out of reach is looked at once more, more closely, and then left
    assert sum(any(gamma > 40 for _, gamma in one) for one in measured) <= 2 * calibrate.SCANNED
    assert len(measured[-1]) == 2
    assert len(measured) <= calibrate.SCANNED + calibrate.EVALUATIONS


@pytest.mark.parametrize("options", [
    {}, dict(dtype="float32"), dict(activation="relu", dtype="float32"), dict(activation="logistic"),
    dict(cell="gru", dtype="float32"), dict(cell="lstm"), dict(cell="residual"),
], ids=lambda o: "-".join(o.values()) or "tanh")  # fmt: skip
def test_a_point_has_its_bits_in_any_company(options):
    shape = dict(gamma_kind="realised", length=9, hidden_size=8, batch_size=2, **options)
    points = [Point(gamma=gamma, seed=seed, **shape) for gamma in (0.95, 0.1) for seed in range(2)]
    points += [Point(gamma=0.9, input="zero", **shape), Point(gamma=0.9, input_scale=30.0, **shape)]

    def bits(some):
        return measure(some).drop_columns(["seconds"])

    together = bits(points)
    order = np.random.default_rng(5).permutation(len(points))
    assert bits([points[i] for i in order]).equals(together.take(pa.array(order)))
    for i, point in enumerate(points):
        assert bits([point]).equals(together.slice(i, 1)), point
    mixed = bits([points[0], points[0].replace(gamma_kind="nominal"), points[1]])
    assert mixed.take([0, 2]).equals(together.slice(0, 2))


def test_more_points_than_are_calibrated_at_once():
    shape = dict(cell="linear", gamma_kind="realised", length=4, hidden_size=2, batch_size=1)
    points = [Point(gamma=0.5 + 0.01 * i, **shape) for i in range(70)]
    assert calibrate.company(points[0]) < len(points)
    np.testing.assert_allclose(measure(points)["knob"].to_numpy(), [p.gamma for p in points], rtol=1e-9)


def test_a_calibration_is_in_the_cost_and_apart_from_other_points():
    point = Point(gamma=0.9)
    calibrated = point.replace(gamma_kind="realised")
    assert cost.seconds(calibrated, DEFAULT_PROBES) > 2 * cost.seconds(point, DEFAULT_PROBES)
    assert cost.memory(calibrated, DEFAULT_PROBES) >= cost.memory(point, DEFAULT_PROBES)
    assert calibrated.shape != point.shape
    assert point.replace(gamma_kind="gain").shape == point.shape
