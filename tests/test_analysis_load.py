"""The lists of further probes: loaded when they are asked for, of the runs that a report draws."""

import analysis_frames as make
import numpy as np
import pyarrow as pa
import pytest
from longlag.analysis.load import FURTHER, Frames, from_client, from_rows
from longlag.service.client import Client
from longlag.service.curves import KINDS
from longlag.service.study import Study
from longlag.workers.measure import measure

PROBES = ("curves", "lyapunov", "jacobian", "truncated_bptt")
SMALL = {"hidden_size": 3, "batch_size": 2}


def as_kept(rows, kind):
    """The values of a kind under each other, read from the rows one by one."""
    main = KINDS[kind].main
    return [value for row in rows for value in row[main]]


def test_lists_of_measured_rows():
    rows = measure(make.points(2, gamma=[0.9, 1.0], length=12, **SMALL), probes=PROBES)
    frames = from_rows(rows)
    assert set(frames.lists) == {"lyapunov", "jacobian", "singular_values", "truncation"}
    for kind in frames.lists:
        long = frames.long(kind)
        column = list(KINDS[kind].columns)[1]
        assert np.array_equal(long[column], as_kept(rows.to_pylist(), kind), equal_nan=True)
        assert list(long)[: len(KINDS[kind].columns) + 1] == ["point_id", *KINDS[kind].columns]
        assert {"variant", "gamma", "length", "seed"} <= set(long)
        assert frames.long(kind) is long


def test_a_kind_that_was_not_measured_has_no_rows():
    frames = from_rows(measure(make.points(1, length=12, **SMALL)))
    for kind in FURTHER:
        long = frames.long(kind)
        assert long.empty == (KINDS[kind].probe != "saturation")
        assert {"point_id", *KINDS[kind].columns, "variant", "gamma"} <= set(long)
    assert Frames.of(make.frames(make.points(1), lambda p: -0.1)["runs"]).long("window").empty


def test_lists_are_of_the_runs_that_are_drawn():
    some = make.points(1, gamma=[float(g) for g in np.linspace(0.5, 1.5, 9)], length=[6, 12], **SMALL)
    rows = [measure([p for p in some if p.length == length], probes=PROBES) for length in (6, 12)]
    frames = from_rows(pa.concat_tables(rows))
    long = frames.long("lyapunov")
    assert set(long["point_id"]) == set(frames.drawn["point_id"])
    assert long["gamma"].nunique() == 5
    assert set(long["length"]) == {12}


def test_lists_of_a_stored_study(tmp_path):
    client = Client(data=tmp_path / "data", ray="inline")
    study = Study("lists", probes=PROBES, length=12, gamma=[0.9, 1.0], seed=range(2), **SMALL)
    client.run(study, on_progress=lambda *_: None)
    frames = from_client(client, "lists")
    assert set(frames.lists) == {"lyapunov", "jacobian", "singular_values", "truncation"}
    measured = from_rows(measure(list(study.points()), probes=PROBES))
    by = ["point_id", "index"]
    stored, direct = (f.long("lyapunov").sort_values(by, ignore_index=True) for f in (frames, measured))
    assert len(stored) == 4 * 3
    assert stored["exponent"].tolist() == direct["exponent"].tolist()
    with pytest.raises(KeyError):
        frames.lists["window"]
