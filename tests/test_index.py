"""The index: one contract for SQLite and PostgreSQL."""

import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from filling import BRING, bring, dump, finish, measured, rows, spawn, study, submit
from longlag.service import models
from longlag.service.errors import NotFound, QueryRefused
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.service.study import Study
from longlag.workers.errors import InvalidPoint
from longlag.workers.points import PARAMETERS
from longlag.workers.probes import BASE_COLUMNS, DEFAULT_PROBES, scalar_columns
from longlag.workers.task import Receipt


class TestRevisions:
    def test_a_first_one(self, index: Index) -> None:
        given = study(description="why")
        info = index.add_revision(given)
        assert (info.study, info.revision, info.size, info.probes) == ("s", 1, 6, DEFAULT_PROBES)
        assert (info.new, info.added, info.removed, info.reused) == (True, 6, 0, 0)
        assert Study.from_toml(info.toml) == given
        assert [(s.name, s.description, s.size, s.finished) for s in index.studies()] == [("s", "why", 6, 0)]

    def test_the_same_is_not_expanded(self, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        first = index.add_revision(study())
        monkeypatch.setattr(Study, "parts", lambda self: pytest.fail("expanded"))
        other = study(description="another text is the same grid")
        again = index.add_revision(other)
        assert (again.id, again.new, again.added, again.removed, again.reused) == (first.id, False, 0, 0, 6)
        assert index.revision("s").toml == again.toml == other.to_toml()
        assert index.studies()[0].description == other.description

    def test_a_changed_grid(self, index: Index) -> None:
        index.add_revision(study(seeds=3))
        changed = index.add_revision(study(seed=range(1, 6)))
        assert (changed.revision, changed.size, changed.new) == (2, 10, True)
        assert (changed.added, changed.removed, changed.reused) == (6, 2, 4)
        assert index.revision("s").revision == 2
        assert index.revision("s", 1).size == 6
        back = index.add_revision(study(seeds=3))
        assert (back.revision, back.added, back.removed, back.reused) == (3, 2, 6, 4)

    def test_unknown_names(self, index: Index) -> None:
        index.add_revision(study("memory"))
        with pytest.raises(NotFound, match=r"there is no study 'memroy': did you mean 'memory'\?"):
            index.revision("memroy")
        with pytest.raises(NotFound, match="study 'memory' has no revision 7: it has 1 to 1"):
            index.runs("memory", revision=7)

    def test_runs_of_each(self, index: Index, store: Store) -> None:
        assert submit(index, store, study(seeds=3)) == 6
        assert submit(index, store, study(seed=range(1, 4))) == 2, (
            "points that are there are not computed again"
        )
        assert set(index.runs("s").seed) == {1, 2, 3}
        assert set(index.runs("s", revision=1).seed) == {0, 1, 2}
        seen = index.sql("select revision, current, count(*) as n from study_runs group by 1, 2 order by 1")
        assert seen.to_dict("list") == {"revision": [1, 2], "current": [False, True], "n": [6, 6]}


class TestCommit:
    def test_the_rows_are_those_of_the_file(self, index: Index, store: Store) -> None:
        given = study(grids=[{"cell": "simple"}, {"cell": "lstm"}], length=[8, 16])
        submit(index, store, given)
        frame = index.runs("s").set_index("point_id")
        assert list(frame.index) == [p.point_id for p in given.points()], "in the order of the grid"
        for file, ids in index.record_files("s"):
            for row in store.scalars(file).to_pylist():
                assert row["point_id"] in ids
                for name in frame.columns:
                    got = frame.loc[row["point_id"], name]
                    value = row.get(name)  # a file has no column of a probe that none of its cells can have
                    assert (pd.isna(got) and value is None) or got == value, name

    def test_every_value_survives(self, index: Index, store: Store) -> None:
        index.add_revision(study(length=2))
        receipt = measured(store, list(study(length=2).points()))
        table = store.scalars(str(receipt.file))
        texts = ["", 'a,"b"\n\\N\t\'é', "null"]
        numbers = [math.inf, -math.inf, 5e-324]
        for name, values in {
            "status_detail": texts,
            "loss_value": numbers,
            "decay_rate": [math.nan, None, -0.1],
        }.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.field(at), [pa.array(values, table.field(at).type)])
        assert index.commit((receipt, table, ())) == 3
        runs = index.runs("s")
        assert runs.status_detail.tolist() == texts
        assert runs.loss_value.tolist() == numbers
        assert runs.decay_rate.isna().tolist() == [True, True, False]
        assert index.sql("select count(*) as n from runs where decay_rate is null").n.tolist() == [2]

    def test_again_and_again_changes_nothing(self, index: Index, store: Store) -> None:
        points = list(study().points())
        info = index.add_revision(study())
        receipt = measured(store, points[:3])
        table = store.scalars(str(receipt.file))
        assert index.commit((receipt, table, ())) == 3
        before = dump(index)
        assert index.commit((receipt, table, ())) == 0
        assert dump(index) == before
        assert index.present(info.id, DEFAULT_PROBES) == {p.point_id for p in points[:3]}
        assert index.counts(info.id, DEFAULT_PROBES) == {"ok": 3}

    def test_a_later_probe_fills_its_columns_only(self, index: Index, store: Store) -> None:
        points = list(study(length=8).points())
        info = index.add_revision(study(length=8))
        first = measured(store, points[:2], ("curves",))
        index.commit((first, store.scalars(str(first.file)), ()))
        before = index.runs("s").set_index("point_id")
        assert before[["saturation", "ln_grad_norm_U"]].isna().all(axis=None)
        assert index.present(info.id, ("saturation",)) == set()
        later = measured(store, points, ("curves", "saturation"))
        assert index.commit((later, store.scalars(str(later.file)), ())) == 3
        after = index.runs("s").set_index("point_id")
        both = after.loc[before.index]
        assert both["saturation"].notna().all()
        assert both["ln_grad_norm_U"].isna().all()
        assert (both["seconds"] > before["seconds"]).all()
        changed = ["saturation", "seconds"]
        pd.testing.assert_frame_equal(both.drop(columns=changed), before.drop(columns=changed))
        ids = {p.point_id for p in points}
        assert index.present(info.id, ("curves", "saturation")) == ids
        assert index.present(info.id, DEFAULT_PROBES) == set()
        assert {f: len(i) for f, i in index.record_files("s", probe="curves")} == {
            first.file: 2,
            later.file: 1,
        }
        assert {f: len(i) for f, i in index.record_files("s", probe="saturation")} == {later.file: 3}

    def test_a_result_takes_the_place_of_an_error_and_never_the_reverse(
        self, index: Index, store: Store
    ) -> None:
        points = list(study(length=8).points())
        info = index.add_revision(study(length=8))
        index.fail({points[0]: "ValueError: first", points[1]: "ValueError: other"})
        index.fail({points[0]: "ValueError: second"})
        failed = index.runs("s")
        assert failed.status.tolist() == ["error", "error"]
        assert failed.status_detail.tolist() == ["ValueError: second", "ValueError: other"]
        assert failed.seed.tolist() == [0, 1]
        assert index.present(info.id, ()) == set()
        assert index.counts(info.id, DEFAULT_PROBES) == {"error": 2}
        assert index.studies()[0].errors == 2
        receipt = measured(store, points)
        assert index.commit((receipt, store.scalars(str(receipt.file)), ())) == 3
        index.fail({points[0]: "too late"})
        runs = index.runs("s")
        assert runs.status.tolist() == ["ok"] * 3
        assert runs.status_detail.isna().all()
        assert runs.loss_value.notna().all()

    def test_a_receipt_with_failed_points(self, index: Index, store: Store) -> None:
        points = list(study(length=8).points())
        index.add_revision(study(length=8))
        receipt = measured(store, points[1:])
        partly = Receipt(**{**receipt.__dict__, "errors": {points[0].point_id: "MemoryError: big"}})
        assert index.commit((partly, store.scalars(str(receipt.file)), points)) == 2
        runs = index.runs("s")
        assert runs.status.tolist() == ["error", "ok", "ok"]
        assert runs.cell.tolist() == ["simple"] * 3
        none = Receipt("f" * 32, None, 0, 0, "", errors={points[0].point_id: "MemoryError: big"})
        assert index.commit((none, None, points)) == 0

    def test_present_of_given_points(self, index: Index, store: Store) -> None:
        points = list(study().points())
        receipt = measured(store, points[:2])
        index.commit((receipt, store.scalars(str(receipt.file)), ()))
        ids = [p.point_id for p in points]
        assert index.present([*ids, "0" * 32], DEFAULT_PROBES) == set(ids[:2])
        assert index.present([], DEFAULT_PROBES) == set()

    def test_writers_at_once(self, index: Index, index_url: str, store: Store) -> None:
        """Two processes and two threads bring overlapping files again and again: nobody is hurt or kept out."""
        given = study(seeds=40)
        points = list(given.points())
        shorter, longer = ([p for p in points if p.length == length] for length in (2, 6))
        for part in (shorter[:25], shorter[15:], shorter[10:30], longer, longer[:20]):
            measured(store, part)
        processes = [spawn(BRING, index_url, str(store.root)) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            changed = list(pool.map(lambda _: bring(Index.open(index_url), store), range(2)))
        changed += [int(finish(process)) for process in processes]
        assert sum(changed) == len(points), "every row was new to exactly one of them"
        info = index.add_revision(given)
        assert index.counts(info.id, DEFAULT_PROBES) == {"ok": len(points)}
        assert len(rows(index, "shards")) == 5
        assert [f.file for f in index.check(store) if f.level == "error"] == []


class TestRuns:
    @pytest.fixture
    def filled(self, index: Index, store: Store) -> Index:
        submit(
            index,
            store,
            study(grids=[{"cell": "simple"}, {"cell": "lstm", "gamma": [0.9, 0.95]}], length=[4, 12]),
        )
        return index

    def test_types(self, filled: Index) -> None:
        frame = filled.runs("s")
        kinds = {str: "string", float: "float64", int: "int64"}
        for name, parameter in PARAMETERS.items():
            assert frame[name].dtype == kinds[parameter.type], name
        measures = {"float64": "float64", "string": "string", "bool": "boolean", "int64": "Int64"}
        for column in scalar_columns():
            assert frame[column.name].dtype == measures[column.type], column
        names = ["point_id", *PARAMETERS, *(c.name for c in BASE_COLUMNS)]
        assert list(frame.columns[: len(names)]) == names
        assert frame.columns[-1] == "seconds"
        assert "object" not in map(str, frame.dtypes)
        empty = filled.runs("s", where={"seed": 77})
        assert len(empty) == 0
        assert list(empty.dtypes) == list(frame.dtypes)

    def test_where(self, filled: Index) -> None:
        cases: list[tuple[dict[str, Any], int]] = [
            ({"cell": "lstm"}, 12),
            ({"cell": "lstm", "gamma": [0.9, 0.99]}, 6),
            ({"gamma": np.array([0.9, 0.95])}, 12),
            ({"seed": range(2), "length": np.int64(4)}, 6),
            ({"activation": None}, 12),
            ({"activation": ["tanh", None]}, 18),
            ({"gamma": []}, 0),
            ({"status": ("ok", "dead")}, 18),
            ({"horizon_1_censored": [True, False], "cell": {"simple"}}, 6),
            ({"point_id": "0" * 32}, 0),
            ({}, 18),
        ]
        for where, expected in cases:
            assert len(filled.runs("s", where=where)) == expected, where
            assert sum(len(ids) for _, ids in filled.record_files("s", where=where)) == expected, where

    def test_where_that_cannot_be(self, filled: Index) -> None:
        cases: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"gama": 1}, QueryRefused, "a run has no column 'gama'; did you mean 'gamma'"),
            ({"shard_curves": 1}, QueryRefused, "a run has no column 'shard_curves'"),
            ({"cell": "lstmm"}, InvalidPoint, "did you mean 'lstm'"),
            ({"length": "long"}, InvalidPoint, "length = 'long'"),
            ({"loss_value": "much"}, QueryRefused, "loss_value = 'much': give a number"),
            ({"half_life_censored": "perhaps"}, QueryRefused, "give true or false"),
        ]
        for where, error, message in cases:
            with pytest.raises(error, match=re.escape(message)):
                filled.runs("s", where=where)


class TestBothAlike:
    @pytest.mark.integration
    def test_same_frames(self, tmp_path: Path, postgres_url: str, store: Store) -> None:
        given = study(grids=[{"cell": "simple"}, {"cell": "lstm_1997"}, {"cell": "gru"}], length=[4, 12])
        first, second = Index.open(f"sqlite:///{tmp_path / 'i.sqlite'}"), Index.open(postgres_url)
        submit(first, store, given)
        submit(second, store, given)
        pd.testing.assert_frame_equal(first.runs("s"), second.runs("s"))
        for query in (
            "select cell, current, count(*) as n, avg(loss_value) as mean from study_runs group by 1, 2 order by 1",
            "select point_id, cell, reset, leak, ln_grad_norm_U, horizon_1_censored, seed from runs order by 1",
        ):
            pd.testing.assert_frame_equal(first.sql(query), second.sql(query))
        names = list(first.sql("select * from study_runs").columns)
        assert names == list(second.sql("select * from study_runs").columns)
        assert names == ["study", "revision", "current", *(c.name for c in models.measures.columns)]
