"""All runs read from the record files are those that SQL gives, or SQL is asked: on SQLite and PostgreSQL."""

from pathlib import Path

import pandas as pd
import pytest
from filling import measured, study, submit
from longlag import Client
from longlag.service import whole
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.service.study import Study
from longlag.workers.probes import DEFAULT_PROBES

MIXED = Study(
    "s",
    grids=[
        dict(cell=["simple", "linear"], gamma=[1.5, 0.0, 0.9, 1e200]),  # dead, overflowing, …
        dict(cell=["lstm", "gru"], gamma=[0.5, 0.99, 1.0]),  # … and unreachable ones
    ],
    length=[1, 12],
    hidden_size=3,
    batch_size=2,
    input_scale=[1.0, 0.0],
    seed=range(2),
)


def read(index: Index, store: Store, name: str = "s", revision: int | None = None) -> pd.DataFrame | None:
    """All runs from the files."""
    return whole.runs(index, store, index.revision(name, revision).id, index.columns)


def same(index: Index, store: Store, name: str = "s", revision: int | None = None) -> pd.DataFrame:
    """All runs from the files, which are those that SQL gives."""
    found = read(index, store, name, revision)
    assert found is not None
    pd.testing.assert_frame_equal(found, index.runs(name, revision))
    return found


def test_every_status_type_and_null(index: Index, store: Store) -> None:
    submit(index, store, MIXED)
    found = same(index, store)
    assert len(found) == MIXED.size
    assert {"ok", "dead", "overflow", "unreachable", "no_signal"} & set(found["status"]) > {
        "ok",
        "unreachable",
    }
    assert found["point_id"].tolist() == list(MIXED.ids())


def test_some_points_of_several_studies_and_revisions(index: Index, store: Store) -> None:
    submit(index, store, study(seeds=5))
    submit(index, store, study("other", seeds=3, length=4))
    submit(index, store, study(seed=range(2, 7)))
    assert len(same(index, store)) == 10
    assert len(same(index, store, revision=1)) == 10
    assert set(same(index, store, "other")["length"]) == {4}


def test_failed_and_missing_points(index: Index, store: Store) -> None:
    points = list(study(seeds=4).points())
    index.add_revision(study(seeds=4))
    receipt = measured(store, [p for p in points if p.length == points[0].length][1:])
    index.commit((receipt, store.scalars(str(receipt.file)), ()))
    index.fail({points[0]: "ValueError: of this point"})
    found = same(index, store)
    assert found["status"].tolist() == ["error", "ok", "ok", "ok"]
    assert found["status_detail"].tolist()[0] == "ValueError: of this point"


def test_sql_is_asked_where_a_point_is_in_two_files(index: Index, store: Store) -> None:
    submit(index, store, study())
    later = measured(store, [p for p in study().points() if p.length == 2][:2], ("path", *DEFAULT_PROBES))
    index.commit((later, store.scalars(str(later.file)), ()))
    assert read(index, store) is None


def test_sql_is_asked_where_results_were_removed_and_their_file_was_not(index: Index, store: Store) -> None:
    shared = study(seeds=2)
    index.add_revision(study("large", seeds=4))
    submit(index, store, study("large", seeds=4))
    index.add_revision(shared)
    index.remove_study("large", store)
    assert len(index.runs("s")) == shared.size
    index.add_revision(study("large", seeds=4))
    assert read(index, store, "large") is None
    assert len(index.runs("large")) == shared.size


def test_sql_is_asked_where_a_file_is_gone_or_nothing_is_there(index: Index, store: Store) -> None:
    index.add_revision(study())
    assert read(index, store) is None
    submit(index, store, study())
    same(index, store)
    next(store.records.glob("*.parquet")).unlink()
    assert read(index, store) is None
    assert len(index.runs("s")) == study().size


def test_the_client_reads_files_from_some_size_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(data=tmp_path / "data", ray="inline")
    client.run(study(), on_progress=lambda progress: None)
    by_sql = client.runs("s")
    monkeypatch.setattr(whole, "LARGE", study().size)
    asked: list[int] = []
    own = Index.runs
    monkeypatch.setattr(Index, "runs", lambda self, *given: asked.append(1) or own(self, *given))
    pd.testing.assert_frame_equal(client.runs("s"), by_sql)
    assert not asked
    assert len(client.runs("s", where={"seed": 0})) < len(by_sql)
    assert asked
