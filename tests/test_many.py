"""Points as places on a grid: the same points, ids and columns as objects have, in every order and company."""

import hashlib
import pickle
import tracemalloc

import pyarrow as pa
import pytest
from longlag import Study, linspace
from longlag.service.plan import plan
from longlag.workers.cells import CELLS
from longlag.workers.many import Grid, Points
from longlag.workers.points import PARAMETERS, Point, cell_parameters, identity
from longlag.workers.probes import DEFAULT_PROBES

MIXED = Study(
    "mixed",
    grids=[
        dict(cell=["simple", "lstm"], gamma=[0.5, 0.9], weights=["orthogonal", "gaussian"]),
        dict(cell=["memory", "simple"], gamma=[0.9, 0.3], activation=["tanh", "relu"], input_scale=[0.0, 1e-30, 2]),
        dict(cell="gru", reset=["before", "after"], loss=["squared", "cross_entropy"],
             gamma_kind=["nominal", "realised"]),
    ],
    length=[3, 16],
    seed=[7, 0, 2**40, 2**63 - 1],
    hidden_size=[2, 4],
)  # fmt: skip


def typed(values):
    """Values that equal others only where their types and signs do."""
    return [(type(value), repr(value)) for value in values]


def test_ids_are_those_of_the_points_one_by_one() -> None:
    ids = [identity(Point(**point.canonical())) for point in MIXED.points()]
    assert list(MIXED.ids()) == ids
    assert len(set(ids)) == len(ids) == MIXED.size


@pytest.mark.parametrize("cell", CELLS)
def test_ids_of_every_cell_and_every_parameter_that_varies(cell: str) -> None:
    some = {name: PARAMETERS[name].choices for name in ("weights", "input", "dtype")} | {
        "gate_bias": [0.0, -1.0]
    }
    own = {name: values for name, values in some.items() if name in cell_parameters(cell)}
    study = Study("s", cell=cell, gamma=[0.5, 0.25], **own)
    assert list(study.ids()) == [identity(point) for point in study.points()]


def test_the_hash_of_a_stored_point_stays_what_it_is() -> None:
    """As written by the first release of this kernel: stored studies stay valid."""
    (one,) = Study("s", cell="lstm", gamma=0.95, length=256, seed=3).ids()
    text = (
        '{"batch_size":16,"cell":"lstm","dtype":"float64","gamma":0.95,"gamma_kind":"nominal","gate_bias":0.0,'
        '"gate_init":"constant","hidden_size":64,"input":"gaussian","input_scale":1.0,"input_size":4,"kernel":7,'
        '"length":256,"loss":"squared","loss_times":"last","output_size":4,"recurrent_gain":1.0,"seed":3,'
        '"target":"gaussian","weights":"orthogonal"}'
    )
    assert one == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_many_points_are_a_sequence_of_points() -> None:
    several, objects = Points.joined(list(MIXED.parts())), list(MIXED.points())
    assert len(several) == len(objects)
    assert list(several) == objects
    assert [several[i] for i in (0, -1, 57)] == [objects[i] for i in (0, -1, 57)]
    assert list(several[5:70:3]) == objects[5:70:3]
    assert list(several[::-1]) == objects[::-1]
    assert several == Points.of(objects)
    assert several[:3] != several[1:4]
    with pytest.raises(IndexError):
        several[len(objects)]


def test_columns_have_the_values_and_types_of_the_points() -> None:
    several, objects = Points.joined(list(MIXED.parts())), list(MIXED.points())
    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    for name, parameter in PARAMETERS.items():
        column = several.column(name, kinds[parameter.type]).to_pylist()
        assert typed(column) == typed([getattr(point, name) for point in objects]), name


def test_shapes_part_points_that_cannot_be_stacked() -> None:
    several = Points.joined(list(MIXED.parts()))
    found = [(shape, point) for shape, points in several.by_shape() for point in points]
    assert all(point.shape == shape for shape, point in found)
    assert sorted(point.point_id for _, point in found) == sorted(several.ids())


def test_what_is_sent_to_a_worker_has_only_what_it_needs() -> None:
    study = Study("s", seed=range(50_000), gamma=[0.5, 0.9])
    few = Points.joined(list(study.parts()))[40_000:60_000:100]
    sent = pickle.dumps(few)
    assert len(sent) < 10_000
    assert pickle.loads(sent) == few
    mixed = Points.joined(list(MIXED.parts()))
    assert pickle.loads(pickle.dumps(mixed[3:-3])) == mixed[3:-3]
    assert list(pickle.loads(pickle.dumps(Points.of(list(mixed)[:3])))) == list(mixed)[:3]


def test_a_union_of_grids_has_every_point_once() -> None:
    study = Study("s", grids=[dict(gamma=[0.5, 0.9]), dict(gamma=[0.9, 1.0], seed=[0, 1])], length=4)
    there = [(point.gamma, point.seed) for point in study.points()]
    assert there == [(0.5, 0), (0.9, 0), (0.9, 1), (1.0, 0), (1.0, 1)]
    grid = Grid({"gamma": (0.5, 0.9), "seed": (0, 1, 2), "cell": ("simple",)})
    places = pa.array(range(6)).to_numpy().astype("int32")
    assert grid.inside({"gamma": (0.9,), "seed": (0, 2)}, places).tolist() == [False] * 3 + [
        True,
        False,
        True,
    ]


def test_a_plan_takes_points_of_a_seed_together_and_no_object_for_each() -> None:
    study = Study("s", gamma=linspace(0.5, 0.9, 20), length=2, hidden_size=1, batch_size=1, seed=range(5_000))
    tracemalloc.start()
    work = plan(study.parts(), study.probes, 2, 2**30)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / study.size < 30  # bytes; a Point and its id are some four hundred
    first = work.shards[0].points
    assert len({point.seed for point in first}) <= len(first) // 20 + 2
    assert sum(len(shard.points) for shard in work.shards) == study.size
    by_objects = plan(study.points(), lambda _: DEFAULT_PROBES, 2, 2**30)
    assert {s.shard_id for s in work.shards} == {s.shard_id for s in by_objects.shards}
