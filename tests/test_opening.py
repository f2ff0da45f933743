"""How an index is opened: made, brought up to date, refused, left as it is. On SQLite and PostgreSQL."""

import os
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from filling import dump, execute, measured, study, submit
from longlag.service import database, migrations, models
from longlag.service.errors import DatabaseUnavailable, NotFound
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.workers.points import PARAMETERS
from longlag.workers.probes import PROBES, scalar_columns
from sqlalchemy import Connection, inspect, text


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
            (made,) = there.get_indexes("measures")
            (meant,) = models.measures.indexes
            assert (made["name"], made["column_names"]) == (meant.name, [c.name for c in meant.columns])

        index.read(check)

    def test_a_writer_makes_an_index_that_is_lacking_and_a_reader_does_without(
        self, index: Index, index_url: str, store: Store
    ) -> None:
        submit(index, store, study())
        execute(index_url, "drop index runs_by_cell")
        before = index.runs("s")
        reader = Index.open(index_url, write=False)
        assert reader.runs("s").equals(before)
        assert reader.read(lambda c: inspect(c).get_indexes("measures")) == []
        writer = Index.open(index_url)
        assert [i["name"] for i in writer.read(lambda c: inspect(c).get_indexes("measures"))] == [
            "runs_by_cell"
        ]
        assert writer.runs("s").equals(before)

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

    def test_a_full_disk(self, tiny_disk: Path, store: Store) -> None:
        index = Index.open(f"sqlite:///{tiny_disk / 'i.sqlite'}")
        points = list(study(seeds=300, length=2).points())
        receipts = [measured(store, points[a : a + 60]) for a in range(0, 300, 60)]
        index.commit((receipts[0], store.scalars(str(receipts[0].file)), ()))
        disk = os.statvfs(tiny_disk)
        ballast = tiny_disk / "ballast"
        ballast.write_bytes(bytes(disk.f_bavail * disk.f_frsize))

        def bring_all() -> None:
            for receipt in receipts:
                index.commit((receipt, store.scalars(str(receipt.file)), ()))

        with pytest.raises(DatabaseUnavailable, match="disk is full; free some space") as e:
            bring_all()
        assert "\n" not in str(e.value)
        ballast.unlink()
        bring_all()
        assert index.sql("select count(*) as n from runs where status = 'ok'").n.tolist() == [300]
        index.close()

    def test_a_database_that_may_not_grow(
        self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a full disk, on any machine: SQLite itself has no page left to give."""
        path = tmp_path / "i.sqlite"
        points = list(study(seeds=300, length=2).points())
        receipts = [measured(store, points[a : a + 60]) for a in range(0, 300, 60)]
        index = Index.open(f"sqlite:///{path}")
        index.commit((receipts[0], store.scalars(str(receipts[0].file)), ()))
        before, connect = dump(index), sqlite3.connect
        index.close()

        def narrow(*given: Any, **named: Any) -> sqlite3.Connection:
            connection = connect(*given, **named)
            pages = connection.execute("pragma page_count").fetchone()[0]
            connection.execute(f"pragma max_page_count = {pages}")
            return connection

        def bring_all(index: Index) -> None:
            for receipt in receipts:
                index.commit((receipt, store.scalars(str(receipt.file)), ()))

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", narrow)
            full = Index.open(f"sqlite:///{path}")
            with pytest.raises(DatabaseUnavailable, match="disk is full; free some space") as e:
                bring_all(full)
            assert "\n" not in str(e.value)
            full.close()
        index = Index.open(f"sqlite:///{path}")
        assert dump(index) == before
        bring_all(index)
        assert index.sql("select count(*) as n from runs where status = 'ok'").n.tolist() == [300]
        index.close()

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
