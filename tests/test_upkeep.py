"""Index and files kept together: adoption, check, reindex, removal, and what a crash leaves. On both databases."""

import os
from pathlib import Path

import pandas as pd
import pytest
from filling import dump, execute, measured, rows, study, submit
from longlag.service import commit
from longlag.service.errors import JobConflict, NotFound
from longlag.service.index import Index
from longlag.service.jobs import Jobs
from longlag.service.store import Store
from longlag.workers import records
from longlag.workers.probes import DEFAULT_PROBES, PROBES


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

    def test_reindex_leaves_out_what_a_removed_study_left_in_shared_files(
        self, index: Index, store: Store
    ) -> None:
        submit(index, store, study(seeds=3))
        assert submit(index, store, study("part", seeds=1)) == 0
        index.remove_study("s", store)
        assert len(rows(index, "measures")) == 2
        index.reindex(store)
        assert len(rows(index, "measures")) == 2

    def test_a_crash_in_reindex_leaves_the_old_index(
        self, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(index, store, study())
        before = dump(index)
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
        index.commit((receipt, store.scalars(str(receipt.file)), ()))
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
        index.commit((receipt, store.scalars(file), ()))
        assert index.adopt(store) == 0
        assert store.files() == {file}

    def test_unknown_study(self, index: Index, store: Store) -> None:
        with pytest.raises(NotFound, match="there is no study 's'"):
            index.remove_study("s", store)
