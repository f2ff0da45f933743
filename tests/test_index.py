"""The index: one contract for SQLite and PostgreSQL."""

import os
import random
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from inspect import getsource as inspect_source
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from longlag.service import database, migrations, models, upkeep
from longlag.service.errors import DatabaseUnavailable, InvalidStudy, JobConflict, NotFound, QueryRefused
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.service.study import Study
from longlag.workers import records
from longlag.workers.errors import InvalidPoint
from longlag.workers.points import PARAMETERS, Point
from longlag.workers.probes import BASE_COLUMNS, DEFAULT_PROBES, PROBES, scalar_columns
from longlag.workers.task import Receipt, Shard, run_shard
from sqlalchemy import Connection, create_engine, inspect, text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.create()
    return store


@pytest.fixture
def index(index_url: str) -> Index:
    return Index.open(index_url)


def study(name: str = "s", seeds: int = 3, **keywords: object) -> Study:
    """A study whose points take no time."""
    return Study(
        name, **{"seed": range(seeds), "length": [2, 6], "hidden_size": 2, "batch_size": 2, **keywords}
    )  # type: ignore[arg-type]


def measured(store: Store, points: list[Point], probes: tuple[str, ...] = DEFAULT_PROBES) -> Receipt:
    return run_shard(Shard.of(points, probes), str(store.root))


def submit(index: Index, store: Store, given: Study) -> int:
    """Everything that a driver does for a study, without a job; returns how many points were computed."""
    index.adopt(store)
    info = index.add_revision(given)
    store.write_revision(info.study, info.revision, info.toml)
    present = index.present(info.id, info.probes)
    groups: dict[object, list[Point]] = {}
    for point in given.points():
        if point.point_id not in present:
            groups.setdefault(point.shape, []).append(point)
    for points in groups.values():
        receipt = measured(store, points, given.probes)
        index.commit(receipt, store.scalars(str(receipt.file)), points)
    return sum(map(len, groups.values()))


def rows(index: Index, table: str) -> list[tuple[object, ...]]:
    return sorted(
        map(tuple, index.read(lambda c: c.execute(text(f"select * from {table}")).fetchall())), key=str
    )


def dump(index: Index) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows(index, table) for table in models.metadata.tables}


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class TestOpening:
    def test_makes_tables_and_views_once(self, index: Index, index_url: str) -> None:
        before = dump(index)
        again = Index.open(index_url)
        assert dump(again) == before
        assert again.columns == index.columns
        lower = [c.name.lower() for c in models.measures.columns]
        assert [c.lower() for c in index.columns] == lower

    def test_migrations_and_models_agree(self, index: Index) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
        assert ScriptDirectory.from_config(config).get_heads() == [models.SCHEMA]

        def check(connection: Connection) -> None:
            there = inspect(connection)
            assert set(there.get_table_names()) == {*models.metadata.tables, "alembic_version"}
            assert set(there.get_view_names()) == {"runs", "study_runs"}
            for name, table in models.metadata.tables.items():
                columns = {c["name"].lower(): c for c in there.get_columns(name)}
                assert list(columns) == [c.name.lower() for c in table.columns], name
                assert there.get_pk_constraint(name)["constrained_columns"] == [
                    c.name for c in table.primary_key
                ]
                for column in table.columns:
                    found = columns[column.name.lower()]
                    kind = column.type.compile(connection.dialect)
                    assert found["type"].compile(connection.dialect) == kind, column
                    assert found["nullable"] == column.nullable, column
            assert [i["name"] for i in there.get_indexes("jobs")] == ["one_active_job"]

        index.read(check)

    def test_every_measure_has_a_column_of_its_own_type(self, index: Index) -> None:
        names = [column.lower() for column in index.columns]
        assert len(set(names)) == len(names), "two measures differ only in case"
        for column in (*PARAMETERS, *(c.name for c in scalar_columns()), *(f"shard_{p}" for p in PROBES)):
            assert column.lower() in names

    def test_a_lacking_column_is_added_by_a_writer_only(self, index_url: str, store: Store) -> None:
        with_all = Index.open(index_url)
        submit(with_all, store, study())
        execute(
            index_url,
            "drop view runs",
            "drop view study_runs",
            "alter table measures drop column saturation",
            "alter table measures add column of_a_newer_longlag text",
        )
        reading = Index.open(index_url, write=False)
        assert "saturation" not in reading.columns
        assert "saturation" not in reading.runs("s").columns
        writing = Index.open(index_url)
        assert writing.columns[-2:] == ["of_a_newer_longlag", "saturation"]
        assert writing.runs("s")["saturation"].isna().all()
        seen = writing.sql("select saturation, of_a_newer_longlag, current from study_runs")
        assert len(seen) == study().size

    def test_newer_schema_is_refused_in_one_line(self, index: Index, index_url: str) -> None:
        execute(index_url, "update alembic_version set version_num = '9999'")
        for write in (True, False):
            with pytest.raises(
                DatabaseUnavailable, match=r"has schema 9999, which is newer than .* upgrade longlag"
            ) as e:
                Index.open(index_url, write=write)
            assert "\n" not in str(e.value)

    def test_tables_of_another_program_are_left_alone(self, index_url: str) -> None:
        execute(index_url, "create table jobs (x integer)")
        with pytest.raises(DatabaseUnavailable, match=r"tables of another program \(jobs\)"):
            Index.open(index_url)

    def test_reading_makes_nothing(self, index_url: str, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"there is no index at .* run a study first"):
            Index.open(index_url, write=False)
        assert not (tmp_path / "index.sqlite").exists()
        Index.open(index_url).close()
        reading = Index.open(index_url, write=False)
        with pytest.raises(DatabaseUnavailable, match="for reading only"):
            reading.add_revision(study())
        assert reading.studies() == []

    def test_several_open_a_new_one_at_once(self, index_url: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            opened = list(pool.map(lambda _: Index.open(index_url).columns, range(4)))
        assert {len(columns) for columns in opened} == {len(models.measures.columns)}


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
        monkeypatch.setattr(Study, "points", lambda self: pytest.fail("expanded"))
        again = index.add_revision(study(description="another text is the same grid"))
        assert (again.id, again.new, again.added, again.removed, again.reused) == (first.id, False, 0, 0, 6)

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
                    assert (pd.isna(got) and row[name] is None) or got == row[name], name

    def test_again_and_again_changes_nothing(self, index: Index, store: Store) -> None:
        points = list(study().points())
        info = index.add_revision(study())
        receipt = measured(store, points[:3])
        table = store.scalars(str(receipt.file))
        assert index.commit(receipt, table) == 3
        before = dump(index)
        assert index.commit(receipt, table) == 0
        assert dump(index) == before
        assert index.present(info.id, DEFAULT_PROBES) == {p.point_id for p in points[:3]}
        assert index.counts(info.id, DEFAULT_PROBES) == {"ok": 3}

    def test_a_later_probe_fills_its_columns_only(self, index: Index, store: Store) -> None:
        points = list(study(length=8).points())
        info = index.add_revision(study(length=8))
        first = measured(store, points[:2], ("curves",))
        index.commit(first, store.scalars(str(first.file)))
        before = index.runs("s").set_index("point_id")
        assert before[["saturation", "ln_grad_norm_U"]].isna().all(axis=None)
        assert index.present(info.id, ("saturation",)) == set()
        later = measured(store, points, ("curves", "saturation"))
        assert index.commit(later, store.scalars(str(later.file))) == 3
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
        assert index.commit(receipt, store.scalars(str(receipt.file))) == 3
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
        assert index.commit(partly, store.scalars(str(receipt.file)), points) == 2
        runs = index.runs("s")
        assert runs.status.tolist() == ["error", "ok", "ok"]
        assert runs.cell.tolist() == ["simple"] * 3
        none = Receipt("f" * 32, None, 0, 0, "", errors={points[0].point_id: "MemoryError: big"})
        assert index.commit(none, None, points) == 0

    def test_present_of_given_points(self, index: Index, store: Store) -> None:
        points = list(study().points())
        receipt = measured(store, points[:2])
        index.commit(receipt, store.scalars(str(receipt.file)))
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


class TestUpkeep:
    def test_adoption(self, index: Index, store: Store) -> None:
        given = study()
        info = index.add_revision(given)
        points = list(given.points())
        for part in (points[:3], points[3:]):
            measured(store, part)
        aside = store.records / ".old.tmp"
        aside.write_bytes(b"half")
        os.utime(aside, (0, 0))
        assert [f.level for f in index.check(store)] == ["note"] * 3
        assert index.adopt(store) == 2
        assert index.adopt(store) == 0
        assert not aside.exists()
        assert index.present(info.id, DEFAULT_PROBES) == {p.point_id for p in points}

    def test_a_file_with_nothing_new_is_recorded(self, index: Index, store: Store) -> None:
        submit(index, store, study())
        before = index.runs("s")
        measured(store, [p for p in study().points() if p.length == 2][:2])
        assert index.adopt(store) == 1
        pd.testing.assert_frame_equal(index.runs("s"), before)
        assert index.check(store) == []

    def test_studies_of_a_store_without_index_are_adopted(
        self, index: Index, store: Store, tmp_path: Path
    ) -> None:
        submit(index, store, study(seeds=2))
        submit(index, store, study(seeds=3))
        fresh = Index.open(f"sqlite:///{tmp_path / 'another.sqlite'}")
        assert fresh.adopt(store) == 4
        assert fresh.revision("s").revision == 2
        pd.testing.assert_frame_equal(fresh.runs("s"), index.runs("s"))
        assert submit(fresh, store, study(seeds=3)) == 0

    def test_broken_files(self, index: Index, store: Store) -> None:
        submit(index, store, study())
        truncated, altered = sorted(store.files())
        path = store.path(truncated)
        path.write_bytes(path.read_bytes()[:-100])
        table = records.read(store.path(altered))
        store.path(altered).unlink()
        records.write(
            table, store.path(altered), {"shard_id": Path(altered).stem, "probes": ",".join(PROBES)}
        )
        store.path("records/foreign.parquet").write_bytes(b"not Parquet at all")
        (store.studies / "s" / "1.toml").unlink()
        found = {f.file: (f.level, f.text) for f in index.check(store)}
        assert found[truncated][0] == "error"
        assert "truncated" in found[truncated][1]
        assert found[altered][0] == "error"
        assert "altered" in found[altered][1]
        assert found["records/foreign.parquet"][0] == "error"
        assert found["studies/s/1.toml"][0] == "note"
        store.path(altered).unlink()
        assert "missing (3 points)" in {f.file: f.text for f in index.check(store)}[altered]
        assert index.adopt(store) == 0, "what is broken is not taken in, and stops nobody"

    def test_rows_that_are_not_what_they_say_are_not_adopted(self, index: Index, store: Store) -> None:
        points = [p for p in study().points() if p.length == 2]
        receipt = measured(store, points)
        path = store.path(str(receipt.file))
        table = records.read(path)
        path.unlink()
        gamma = table.schema.get_field_index("gamma")
        forged = table.set_column(gamma, "gamma", [[0.5] * len(table)])
        records.write(forged, path, {"shard_id": path.stem, "probes": ",".join(PROBES)})
        assert index.adopt(store) == 0
        [finding] = index.check(store)
        assert finding.level == "error"
        assert "does not have the parameters" in finding.text

    def test_reindex(self, index: Index, index_url: str, store: Store) -> None:
        submit(index, store, study(seeds=2))
        submit(index, store, study(seeds=3))
        submit(index, store, study("t", grids=[{"cell": "gru"}], probes=["curves"]))
        before = {name: index.runs(name) for name in ("s", "t")}
        execute(index_url, "update measures set loss_value = 0", "update studies set description = 'wrong'")
        assert index.reindex(store) == 6
        for name, frame in before.items():
            pd.testing.assert_frame_equal(index.runs(name), frame)
        assert index.revision("s").revision == 2
        assert index.check(store) == []

    def test_a_crash_in_reindex_leaves_the_old_index(
        self, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(index, store, study())
        before = dump(index)
        from longlag.service import commit

        whole, calls = commit.commit, []

        def breaks(*arguments: object) -> int:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return whole(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(commit, "commit", breaks)
        with pytest.raises(KeyboardInterrupt):
            index.reindex(store)
        assert dump(index) == before

    def test_reindex_is_refused_while_a_job_runs(self, index: Index, store: Store) -> None:
        from longlag.service.jobs import Jobs

        job, _ = Jobs(index).create("s", index.add_revision(study()).id, 6)
        with pytest.raises(JobConflict, match=f"longlag cancel {job.id}"):
            index.reindex(store)
        with pytest.raises(JobConflict, match=f"longlag cancel {job.id}"):
            index.remove_study("s", store)
        assert Jobs(index).get(job.id) == job


class TestRemoval:
    def test_only_what_nobody_else_needs(self, index: Index, store: Store) -> None:
        submit(index, store, study("kept", seed=[0, 1], length=2))
        submit(index, store, study("gone", seed=[1, 2], length=2))
        submit(index, store, study("gone", seed=[1, 2, 3], length=[2, 6]))
        kept = index.runs("kept")
        deleted = index.remove_study("gone", store)
        assert len(deleted) == 3
        assert [s.name for s in index.studies()] == ["kept"]
        pd.testing.assert_frame_equal(index.runs("kept"), kept)
        assert len(rows(index, "measures")) == 2
        assert len(store.files()) == 1
        assert store.revisions() == [("kept", 1)]
        assert index.check(store) == []
        assert list(store.studies.iterdir()) == [store.studies / "kept"]
        assert submit(index, store, study("gone", seed=[1, 2], length=2)) == 1

    def test_a_shared_file_stays(self, index: Index, store: Store) -> None:
        points = list(study(length=2).points())
        index.add_revision(study(length=2))
        index.add_revision(study("one", seeds=1, length=2))
        receipt = measured(store, points)
        index.commit(receipt, store.scalars(str(receipt.file)))
        assert index.remove_study("s", store) == []
        assert store.files() == {receipt.file}
        assert index.runs("one").seed.tolist() == [0]
        assert len(rows(index, "measures")) == 1
        assert index.remove_study("one", store) == [receipt.file]
        assert store.files() == set()

    def test_interrupted_after_the_transaction(
        self, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(index, store, study())
        with monkeypatch.context() as patch:
            patch.setattr(Store, "delete", lambda self, files: exec("raise KeyboardInterrupt"))
            with pytest.raises(KeyboardInterrupt):
                index.remove_study("s", store)
        assert len(store.files()) == 2
        assert {f.level for f in index.check(store)} == {"note"}
        assert index.studies() == []
        assert index.adopt(store) == 0, "what was removed is not taken in again"
        assert store.files() == set()
        assert rows(index, "measures") == []
        assert rows(index, "shards") == []
        assert store.revisions() == []

    def test_interrupted_before_the_transaction_ends(
        self, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(index, store, study())
        before = dump(index)
        with monkeypatch.context() as patch:
            whole = Store.retire_study

            def breaks(self: Store, name: str) -> Path | None:
                whole(self, name)
                raise KeyboardInterrupt

            patch.setattr(Store, "retire_study", breaks)
            with pytest.raises(KeyboardInterrupt):
                index.remove_study("s", store)
        assert dump(index) == before
        assert len(index.runs("s")) == 6
        assert [f.level for f in index.check(store)] == ["note"], "the text of the revision is not there"
        assert len(index.remove_study("s", store)) == 2

    def test_a_marked_file_that_is_needed_again_stays(
        self, index: Index, index_url: str, store: Store
    ) -> None:
        submit(index, store, study(length=2))
        points = list(study(length=2).points())
        [file] = store.files()
        execute(index_url, "update shards set removed = committed")
        receipt = measured(store, points)
        index.commit(receipt, store.scalars(file))
        assert index.adopt(store) == 0
        assert store.files() == {file}

    def test_unknown_study(self, index: Index, store: Store) -> None:
        with pytest.raises(NotFound, match="there is no study 's'"):
            index.remove_study("s", store)


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


class TestSqliteFile:
    def test_reading_leaves_the_folder_as_it_is(self, tmp_path: Path, store: Store) -> None:
        folder = tmp_path / "db"
        folder.mkdir()
        url = f"sqlite:///{folder / 'index# é.sqlite'}"
        index = Index.open(url)
        submit(index, store, study())
        index.close()
        before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
        assert list(before) == ["index# é.sqlite"]
        reading = Index.open(url, write=False)
        assert len(reading.runs("s")) == 6
        assert len(reading.sql("select * from runs")) == 6
        assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before

    def test_readers_see_what_a_living_writer_has_committed(self, tmp_path: Path, store: Store) -> None:
        url = f"sqlite:///{tmp_path / 'i.sqlite'}"
        Index.open(url).close()
        reading = Index.open(url, write=False)
        assert reading.studies() == []
        writing = Index.open(url)
        submit(writing, store, study())
        assert len(reading.runs("s")) == 6
        assert len(reading.sql("select * from runs")) == 6

    def test_a_file_that_changes_while_it_is_read_is_read_again(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'i.sqlite'}"
        Index.open(url).close()
        reading, seen = Index.open(url, write=False), []

        def work(connection: Connection) -> int:
            if not seen:
                writer = Index.open(url)
                writer.add_revision(study())
                writer.close()
            seen.append(connection.execute(text("select count(*) from studies")).scalar_one())
            return seen[-1]

        assert reading.read(work) == 1
        assert len(seen) == 2

    def test_a_writer_waits_for_another(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "i.sqlite"
        index = Index.open(f"sqlite:///{path}")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin immediate")
        monkeypatch.setattr(database, "_BUSY_SECONDS", 0.01)
        monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.2)
        impatient = Index.open(f"sqlite:///{path}")
        with pytest.raises(DatabaseUnavailable, match="another process has been writing"):
            impatient.add_revision(study())
        other.execute("commit")
        other.close()
        assert impatient.add_revision(study()).new
        assert not index.add_revision(study()).new

    def test_not_a_database(self, tmp_path: Path) -> None:
        path = tmp_path / "i.sqlite"
        path.write_bytes(b"something else altogether " * 100)
        for write in (True, False):
            with pytest.raises(
                DatabaseUnavailable, match="not a database; move that file away and run 'longlag reindex'"
            ):
                Index.open(f"sqlite:///{path}", write=write)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DatabaseUnavailable, match="there is no folder"):
            Index.open(f"sqlite:///{tmp_path / 'nowhere' / 'i.sqlite'}")

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("index.sqlite", "is no database URL"),
            ("mysql://u:secret@h/n", "mysql is not supported"),
            ("sqlite://", "has to be a file"),
            ("sqlite:///:memory:", "has to be a file"),
        ],
    )
    def test_urls(self, url: str, message: str) -> None:
        with pytest.raises(DatabaseUnavailable, match=message) as e:
            Index.open(url)
        assert "secret" not in str(e.value)


class TestUnreachable:
    def test_refused(self) -> None:
        with pytest.raises(DatabaseUnavailable, match="see that the server runs") as e:
            Index.open("postgresql://someone:secret@127.0.0.1:1/x")
        assert "\n" not in str(e.value)
        assert "secret" not in str(e.value)

    def test_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket
        import time

        monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
        with socket.create_server(("127.0.0.1", 0)) as server:
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match="see that the server can be reached"):
                Index.open(f"postgresql://127.0.0.1:{server.getsockname()[1]}/x", write=False)
            assert time.monotonic() - began < 6

    @pytest.mark.integration
    def test_no_such_database(self, postgres_url: str) -> None:
        with pytest.raises(DatabaseUnavailable, match="does not exist; make it first"):
            Index.open(postgres_url.replace("/longlag_", "/nothing_"))


def test_a_study_has_to_be_one_folder(store: Store) -> None:
    with pytest.raises(InvalidStudy):
        Study("../s", cell="simple")


def bring(index: Index, store: Store) -> int:
    files, changed = sorted(store.files()), 0
    for _ in range(5):
        random.shuffle(files)
        for file in files:
            changed += index.commit(*upkeep.inspect_file(store, file))
    return changed


BRING = f"""
import random, sys
from longlag.service import upkeep
from longlag.service.index import Index
from longlag.service.store import Store
{inspect_source(bring)}
print(bring(Index.open(sys.argv[1]), Store(sys.argv[2])))
"""


def spawn(script: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()
