"""A point's row is the same to the last bit alone and in stacks of any size, order and company."""

import numpy as np
import pytest
import reference
from helpers import fitting, label
from longlag.workers import Point, measure, trace
from longlag.workers.cells import CELLS
from longlag.workers.kernel import Task, run
from longlag.workers.points import cell_parameters
from longlag.workers.probes import PROBES
from longlag.workers.room import Room

SHAPES = [
    dict(length=12, hidden_size=5, input_size=3, output_size=4, batch_size=3, loss_times="3"),
    dict(length=9, hidden_size=17, input_size=4, output_size=2, batch_size=1, loss_times="every"),
    dict(length=1, hidden_size=2, input_size=1, output_size=1, batch_size=4, loss_times="last"),
    dict(length=6, hidden_size=1, input_size=1, output_size=1, batch_size=1, loss_times="every"),
    dict(length=33, hidden_size=64, input_size=7, output_size=3, batch_size=5, loss_times="last"),
]


def exact(value):
    """A value that equals another's only where every bit does: −0.0 is not 0.0, and NaN is NaN."""
    if isinstance(value, list):
        return tuple(map(exact, value))
    return value.hex() if isinstance(value, float) else value


def exactly(column):
    """A column by its bytes, words as they are."""
    return [one if one is None or isinstance(one, str) else np.asarray(one).tobytes() for one in column]


def bits(points, **given):
    """Every column of every row, but for the time it took."""
    rows = measure(points, **given).to_pylist()
    return [{name: exact(value) for name, value in row.items() if name != "seconds"} for row in rows]


def probes_of(*cells):
    """Every probe that one of these cells can have."""
    return [name for name, one in PROBES.items() if any(one.lacking(CELLS[cell]) is None for cell in cells)]


def company(cell, **shape):
    """Points of one shape that differ in all that a stack may mix, quiet, exploding and impossible ones too."""
    own = cell_parameters(cell)
    points = [Point(cell=cell, seed=seed, **shape) for seed in (0, 1)]
    points += [Point(cell=cell, gamma=gamma, **shape) for gamma in (0.5, 0.0, 1.5)]  # 0: dead or unreachable
    points.append(Point(cell=cell, input="zero", **shape))
    points.append(Point(cell=cell, input="uniform", input_scale=1e3, seed=3, **shape))
    for name, value in (
        *(("weights", "gaussian"), ("leak", 0.9), ("recurrent_gain", 3.0), ("gate_bias", -2.0)),
        *(("gate_init", "chrono"), ("rho_min", 0.9)),
    ):
        points += [Point(cell=cell, **{name: value}, **shape)] if name in own else []
    return points


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"N{s['hidden_size']}-T{s['length']}")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
def test_alone_and_in_every_stack(cell, dtype, shape):
    points = company(cell, dtype=dtype, **fitting(cell, shape))
    alone = [bits([point])[0] for point in points]
    order = np.random.default_rng(7).permutation(len(points))
    for chosen in (range(len(points)), order, order[:2], [*order, *order[:3], *order]):
        stacked = bits([points[i] for i in chosen])
        for i, found in zip(chosen, stacked, strict=True):
            assert found == alone[i], points[i]


@pytest.mark.parametrize("shape", [
    dict(length=70, hidden_size=7, input_size=3, batch_size=5, loss_times="3"),
    dict(length=9, hidden_size=33, input_size=1, batch_size=1, loss_times="every"),
    dict(length=3, hidden_size=1, input_size=2, batch_size=6, loss_times="last"),
], ids=lambda s: f"N{s['hidden_size']}-T{s['length']}")  # fmt: skip
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_probe_alone_and_stacked(cell, dtype, shape):
    points, probes = company(cell, dtype=dtype, **fitting(cell, shape)), probes_of(cell)
    alone = [bits([point], probes=probes)[0] for point in points]
    assert bits(points, probes=probes) == alone
    assert bits(points[::-1] + points, probes=probes) == alone[::-1] + alone


@pytest.mark.parametrize("options", [
    dict(activation="logistic"), dict(activation="relu"), dict(activation="identity"),
    dict(cell="residual", activation="relu"), dict(cell="linear", activation="logistic"),
    dict(cell="gru", reset="after"), dict(cell="lstm", loss="cross_entropy"), dict(loss="cross_entropy"),
    dict(cell="lstm_1997", gradient="truncated"),
], ids=label)  # fmt: skip
def test_alone_and_stacked_with_other_options(options):
    shape = dict(length=10, hidden_size=6, input_size=3, batch_size=3, loss_times="2")
    points = [Point(**options, **shape, seed=seed) for seed in range(9)]
    alone = [bits([point])[0] for point in points]
    assert bits(points) == alone
    assert bits(points[::-1]) == alone[::-1]


def test_with_neighbours_of_other_shapes_cells_and_types():
    shape = dict(hidden_size=4, batch_size=2)
    mixed = [
        Point(cell=cell, length=length, dtype=dtype, **shape)
        for length in (5, 8)
        for cell in CELLS
        for dtype in ("float64", "float32")
    ]
    alone = [bits([point], probes=probes_of(point.cell))[0] for point in mixed]
    stacked = bits(mixed, probes=PROBES)
    assert [{n: v for n, v in r.items() if n in a} for r, a in zip(stacked, alone, strict=True)] == alone
    alone = [bits([point])[0] for point in mixed]
    assert bits(mixed) == alone
    order = np.random.default_rng(8).permutation(len(mixed))
    assert bits([mixed[i] for i in order]) == [alone[i] for i in order]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_beside_points_that_overflow_die_or_saturate(dtype):
    shape = dict(activation="identity", length=1800, hidden_size=3, batch_size=2, dtype=dtype)
    points = [Point(gamma=gamma, **shape) for gamma in (0.9, 1.5, 0.0, 1.5, 1.01, 0.3)]
    alone = [bits([point])[0] for point in points]
    assert {row["status"] for row in alone} >= {"ok", "overflow", "dead"}
    assert bits(points) == alone
    saturated = dict(activation="tanh", length=50, hidden_size=3, batch_size=2, dtype=dtype)
    points = [Point(input_scale=scale, **saturated) for scale in (0.1, 1e4, 1.0, 30.0, 1e6)]
    assert bits(points) == [bits([point])[0] for point in points]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_probe_never_changes_the_bits_of_another(cell, dtype):
    shape = fitting(cell, dict(length=14, hidden_size=5, batch_size=3, loss_times="2", dtype=dtype))
    points = [Point(cell=cell, seed=seed, **shape) for seed in range(3)]
    whole = bits(points, probes=probes_of(cell))
    for name in probes_of(cell):
        for found, wanted in zip(bits(points, probes=(name,)), whole, strict=True):
            assert found == {column: wanted[column] for column in found}
            assert {column.name for column in PROBES[name].columns} <= set(found)


@pytest.mark.parametrize("cell", CELLS)
def test_own_arrays_give_the_bits_of_drawn_ones_and_know_no_neighbours(cell):
    shape = dict(length=9, hidden_size=4, input_size=3, batch_size=2)
    points = [Point(cell=cell, seed=seed, **shape) for seed in range(4)]
    drawn = [trace(point) for point in points]
    given = dict(parameters=[t.parameters for t in drawn], inputs=[t.inputs for t in drawn])
    plain = bits(points)
    for found, wanted in zip(bits(points, **given), plain, strict=True):
        assert found.pop("point_id") != wanted["point_id"]  # own arrays are part of the identity
        assert found == {name: value for name, value in wanted.items() if name != "point_id"}
    own = [reference.draw(point, seed) for seed, point in enumerate(points)]
    parameters, inputs = [p for p, _ in own], [x for _, x in own]
    alone = [bits([points[i]], parameters=parameters[i], inputs=inputs[i])[0] for i in range(4)]
    assert bits(points, parameters=parameters, inputs=inputs) == alone
    assert bits(points[::-1], parameters=parameters[::-1], inputs=inputs[::-1]) == alone[::-1]


def test_points_with_and_without_an_optional_array_are_not_one_stack():
    shape = dict(cell="gru", reset="after", length=9, hidden_size=5, input_size=3, batch_size=2)
    points = [Point(seed=seed, **shape) for seed in range(6)]
    own = [{"b_u": np.full(5, seed)} if seed % 2 else {} for seed in range(6)]
    alone = [bits([point], parameters=p)[0] for point, p in zip(points, own, strict=True)]
    assert bits(points, parameters=own) == alone
    assert [row["ln_grad_norm_b_u"] is None for row in alone] == [True, False] * 3
    assert bits(points[::2]) == alone[::2]


def test_large_angles_do_not_change_the_bits_of_their_neighbours():
    shape = dict(cell="diagonal", length=9, hidden_size=10, input_size=3, batch_size=2)
    points = [Point(seed=seed, **shape) for seed in range(5)]
    scales = (1, 1e9, -1, 1e300, 0)
    own = [{"theta": trace(p).parameters["theta"] * s} for p, s in zip(points, scales, strict=True)]
    alone = [bits([point], parameters=p)[0] for point, p in zip(points, own, strict=True)]
    assert bits(points, parameters=own) == alone
    assert bits(points[::-1], parameters=own[::-1]) == alone[::-1]


def test_twice_is_the_same():
    points = [Point(cell=cell, length=20, hidden_size=8) for cell in CELLS]
    assert bits(points) == bits(points)


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_stack_has_measured_outlives_the_memory_it_was_measured_in(cell):
    room, probes = Room(), probes_of(cell)
    tasks = [
        Task(point) for point in company(cell, length=9, hidden_size=4, batch_size=3, loss_times="every")
    ]
    alone = [run([task], probes) for task in tasks]
    shared = [run([task], probes, room=room) for task in tasks]
    for one, other in zip(alone, shared, strict=True):
        for part, twin in zip(one, other, strict=True):
            for name, values in part.columns.items():
                assert exactly(values) == exactly(twin.columns[name]), name
