"""The client: what a user does with studies, jobs and tables, on a store of its own."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from longlag import Study, linspace
from longlag.service import curves as kinds
from longlag.service import job as job_module
from longlag.service.client import Client
from longlag.service.driver import Progress
from longlag.service.errors import (
    ClusterUnavailable,
    InvalidSettings,
    InvalidStudy,
    JobConflict,
    NotFound,
    QueryRefused,
)
from longlag.service.index import Index
from longlag.service.job import DriverFailed
from longlag.service.jobs import Jobs
from longlag.service.lease import Lease
from longlag.service.progress import ProgressBar, duration, pace
from longlag.service.settings import Settings
from longlag.workers import records
from longlag.workers.errors import BadFile
from longlag.workers.points import PARAMETERS
from longlag.workers.probes import DEFAULT_PROBES, PROBES

GRID: dict[str, Any] = {"cell": ["simple", "lstm"], "length": [4, 8], "hidden_size": 4, "seed": range(3)}


def study(name: str = "s", **changes: Any) -> Study:
    return Study(name, **{**GRID, **changes})


def quiet(_: Progress) -> None:
    pass


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "store", ray="inline")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A store with a finished study, for tests that only read."""
    client = Client(tmp_path_factory.mktemp("filled"), ray="inline")
    client.run(study(), quiet)
    return client


@pytest.fixture
def jobs(client: Client) -> Iterator[Jobs]:
    """Another process's view of the client's jobs."""
    client.store.create()
    index = Index.open(client.settings.database)
    yield Jobs(index)
    index.close()


# ---- settings


def test_settings_come_from_the_caller_then_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LONGLAG_DATA", str(tmp_path / "a"))
    monkeypatch.setenv("LONGLAG_MEMORY", "2GiB")
    monkeypatch.setenv("LONGLAG_WORKERS", "")
    settings = Client(ray="inline", memory="512MiB").settings
    assert settings.data == str(tmp_path / "a")
    assert settings.database == f"sqlite:///{tmp_path}/a/index.sqlite"
    assert (settings.memory, settings.ray, settings.workers) == (2**29, "inline", None)
    assert settings.slots == len(os.sched_getaffinity(0))
    assert Client().settings.memory == 2**31


def test_paths_are_made_absolute_for_other_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Client("here", db="sqlite:///there.sqlite", workers=3).settings
    assert (settings.data, settings.database) == (f"{tmp_path}/here", f"sqlite:///{tmp_path}/there.sqlite")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert Settings.read() == settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "s3://bucket/x"}, "data = 's3://bucket/x': give a folder"),
        ({"data": "http://host:8000"}, "data = 'http://host:8000': give a folder"),
        ({"data": 3}, "data = 3: give a folder"),
        ({"ray": "cluster"}, "ray = 'cluster': give local, inline, auto, or host:port"),
        ({"ray": "ray://host:10001"}, "give local, inline, auto, or host:port"),
        ({"workers": 0}, "workers = 0: input should be greater than or equal to 1"),
        ({"memory": "lots"}, "memory = 'lots'"),
        ({"memory": "1MiB"}, "memory = '1MiB'"),
        ({"db": "nonsense"}, "db = .* give a SQLAlchemy URL"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message) as caught:
        Client(**given)
    assert "\n" not in str(caught.value)
    assert "LONGLAG_" in str(caught.value)


def test_no_password_is_shown() -> None:
    client = Client(db="postgresql://me:secret@host/name")
    assert "secret" not in repr(client)
    assert "secret" not in repr(client.settings)


# ---- computing


def test_run_computes_what_is_missing_and_says_what_changed(client: Client) -> None:
    seen: list[Progress] = []
    job = client.run(study(), seen.append)
    assert job.state == "done"
    assert (job.progress().done, job.progress().total, job.progress().counts) == (12, 12, {"ok": 12})
    assert job.change is not None
    assert (job.change.new, job.change.revision, job.change.added) == (True, 1, 12)
    job = client.run(study(seed=range(1, 4)), quiet)
    assert job.change is not None
    assert (job.change.revision, job.change.added, job.change.removed, job.change.reused) == (2, 4, 4, 8)
    assert len(client.runs("s")) == len(client.runs("s", revision=1)) == 12
    assert set(client.runs("s", revision=1)["seed"]) == {0, 1, 2}
    assert seen[-1].done == 12


def test_a_second_run_computes_nothing_and_is_quick(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.run(study(), quiet)
    files = set(client.store.files())
    monkeypatch.setattr("longlag.service.driver.make_executor", None)
    seen: list[Progress] = []
    assert client.run(study(), seen.append).state == "done"
    assert [p.done for p in seen] == [12]
    assert client.store.files() == files


def test_a_point_of_two_studies_is_computed_once(client: Client) -> None:
    client.run(study("one"), quiet)
    files = client.store.files()
    client.run(study("two", seed=[0, 2]), quiet)
    assert client.store.files() == files
    assert set(client.runs("two")["point_id"]) < set(client.runs("one")["point_id"])


def test_another_machine_can_open_a_copied_store(client: Client, tmp_path: Path) -> None:
    client.run(study(), quiet)
    client.store.root.rename(tmp_path / "copied")
    there = Client(tmp_path / "copied", ray="inline")
    assert len(there.runs("s")) == 12
    assert there.check() == []
    (tmp_path / "copied" / "index.sqlite").unlink()
    assert there.reindex() == 4
    assert len(there.curves("s")) > 0


def test_a_store_whose_index_is_new_goes_on_where_its_revisions_ended(client: Client, tmp_path: Path) -> None:
    client.run(study(seed=range(1)), quiet)
    client.run(study(seed=range(2)), quiet)
    moved = Client(tmp_path / "store", db=f"sqlite:///{tmp_path / 'other.sqlite'}", ray="inline")
    assert moved.run(study(seed=range(3)), quiet).revision == 3
    assert [number for _, number in moved.store.revisions()] == [1, 2, 3]


def test_plan_says_what_is_missing_and_why(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    work = client.plan(study())
    assert (work.points, work.present, work.missing, work.failed) == (12, 0, 12, 0)
    assert not client.store.root.exists()
    client.run(study(probes=["curves"]), quiet)
    assert client.plan(study(probes=["curves"])).missing == 0
    work = client.plan(study(seed=range(4)))
    assert (work.points, work.present) == (16, 0)
    assert work.lacking == {("gradients", "saturation"): 12, DEFAULT_PROBES: 4}
    assert client.show("s").revision.revision == 1


def test_plan_counts_points_that_failed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise FloatingPointError("a point that fails")

    with monkeypatch.context() as patch:
        patch.setattr("longlag.workers.task.run", fail)
        assert client.run(study(), quiet).progress().counts == {"error": 12}
    work = client.plan(study())
    assert (work.missing, work.failed) == (12, 12)
    state = client.show("s")
    assert (state.missing, state.counts) == (12, {"error": 12})
    assert client.studies()[0].errors == 12


def test_what_is_no_study_is_refused(client: Client) -> None:
    with pytest.raises(InvalidStudy, match="give Study"):
        client.run({"gamma": 1})  # type: ignore[arg-type]


# ---- jobs


def test_a_dead_address_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    there = Client(tmp_path / "store", ray=f"127.0.0.1:{port}")
    for begin in (there.submit, there.run):
        with pytest.raises(ClusterUnavailable, match=f"nothing answers at 127.0.0.1:{port}"):
            begin(study())
    assert not (tmp_path / "store").exists()


def test_submit_returns_at_once_and_goes_on_by_itself(tmp_path: Path) -> None:
    client = Client(tmp_path / "store", ray="inline")
    began = time.monotonic()
    job = client.submit(study())
    assert time.monotonic() - began < 5
    assert job.state in ("queued", "running", "done")
    assert job.wait(timeout=60, on_progress=quiet) == "done"
    assert "12 of 12 points" in job.log
    assert len(client.runs("s")) == 12
    again = client.job(job.id)
    assert (again.study, again.revision, again.state, again.message) == ("s", 1, "done", None)


def test_a_driver_that_cannot_start_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def broken(command: list[str], **options: Any) -> Any:
        return real([command[0], "-c", "raise SystemExit('no longlag here')"], **options)

    monkeypatch.setattr(job_module.subprocess, "Popen", broken)
    job = client.submit(study())
    with pytest.raises(
        DriverFailed, match=f"the driver of job {job.id} ended before it began: no longlag here"
    ):
        job.wait(timeout=30, on_progress=quiet)
    assert job.state == "cancelled"
    monkeypatch.undo()
    assert client.run(study(), quiet).state == "done"


def test_a_second_run_attaches_to_the_first(client: Client, jobs: Jobs) -> None:
    record = client._request(study())[0]
    seen: list[Progress] = []
    with Lease(jobs, record.id) as lease:
        threading.Timer(0.7, lambda: (lease.progress(12, {"ok": 12}, 12), lease.finish("done"))).start()
        job = client.run(study(), seen.append)
    assert (job.id, job.state) == (record.id, "done")
    assert (seen[0].state, seen[-1].state, seen[-1].done) == ("running", "done", 12)
    assert len(client.jobs()) == 1


def test_an_interrupted_job_is_taken_over(client: Client, jobs: Jobs) -> None:
    record = client._request(study())[0]
    with Lease(jobs, record.id):
        pass
    assert client.job(record.id).state == "interrupted"
    job = client.resume("s", quiet)
    assert (job.id, job.state) == (record.id, "done")
    assert client.resume(record.id, quiet).state == "done"


def test_a_run_takes_over_what_it_waited_for(client: Client, jobs: Jobs) -> None:
    record = client._request(study())[0]
    lease = Lease(jobs, record.id)
    lease.__enter__()
    threading.Timer(0.7, lambda: lease.__exit__(None, None, None)).start()
    job = client.run(study(), quiet)
    assert (job.id, job.state) == (record.id, "done")


def test_two_revisions_do_not_run_at_once(client: Client, jobs: Jobs) -> None:
    record = client._request(study())[0]
    with (
        Lease(jobs, record.id),
        pytest.raises(JobConflict, match=f"job {record.id} of study 's', revision 1, is"),
    ):
        client.run(study(seed=7), quiet)
    assert client.run(study(seed=7), quiet).revision == 2
    assert client.job(record.id).state == "cancelled"


def test_cancel_by_study_or_job(client: Client, jobs: Jobs) -> None:
    first = client._request(study())[0]
    assert client.cancel("s").state == "cancelled"
    second = client._request(study())[0]
    with Lease(jobs, second.id):
        assert client.cancel(second.id).state == "running"
        assert jobs.get(second.id).cancel_requested
    assert client.cancel("s").state == "cancelled"
    assert first.id != second.id
    with pytest.raises(NotFound, match="study 's' has no job"):
        client.cancel("s")


def test_a_cancelled_job_whose_driver_died_does_not_come_back(client: Client, jobs: Jobs) -> None:
    record = client._request(study())[0]
    with Lease(jobs, record.id):
        client.cancel("s")
    job = client.run(study(), quiet)
    assert job.id != record.id
    assert job.state == "done"


def test_ctrl_c_ends_a_run_and_says_how_to_go_on(client: Client) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="is interrupted: 'longlag resume s' goes on"):
        client.run(study(), interrupt)
    assert client.jobs()[0].state == "interrupted"
    assert client.resume("s", quiet).state == "done"


def test_ctrl_c_detaches_from_a_job(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = client.job(client._request(study())[0].id)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job_module.time, "sleep", interrupt)
    assert job.wait() == "queued"
    assert f"detached; job {job.id} goes on" in capsys.readouterr().err


def test_waiting_has_an_end(client: Client) -> None:
    job = client.job(client._request(study())[0].id)
    assert job.wait(timeout=0, on_progress=quiet) == "queued"


def test_progress_without_a_terminal_is_plain_lines(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.run(study())
    said = capsys.readouterr().err
    assert "s: 0 of 12 points\n" in said
    assert "\x1b" not in said


def test_progress_in_words() -> None:
    assert pace(Progress("running", 100, 10, {}, 12.34, 7.0)) == "12 points/s, 7 s left"
    assert pace(Progress("running", 100, 100, {}, 2.345, 0.0)) == "2.3 points/s"
    assert pace(Progress("queued", 100, 0)) == ""
    assert [duration(s) for s in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 05 min"]
    with ProgressBar("s") as bar:
        bar(Progress("running", 3, 1))


# ---- looking


def test_a_reading_call_makes_nothing(client: Client) -> None:
    calls: list[Any] = [
        client.studies,
        client.jobs,
        client.check,
        client.reindex,
        lambda: client.runs("s"),
        lambda: client.curves("s"),
        lambda: client.sql("select 1"),
        lambda: client.show("s"),
        lambda: client.job("x"),
        lambda: client.cancel("s"),
        lambda: client.resume("s"),
        lambda: client.rm("s"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=r"there is no (index|store) at"):
            call()
    assert not client.store.root.exists()


def test_unknown_names_get_the_nearest(filled: Client) -> None:
    for call in (filled.runs, filled.curves, filled.show, filled.rm, filled.resume):
        with pytest.raises(NotFound, match=r"there is no study 't'"):
            call("t")
    with pytest.raises(NotFound, match="has no revision 7"):
        filled.runs("s", revision=7)
    with pytest.raises(NotFound, match="there is no job 'nope'"):
        filled.job("nope")


def test_runs_have_sensible_types(filled: Client) -> None:
    runs = filled.runs("s", where={"cell": "lstm", "length": [8]})
    assert len(runs) == 3
    assert list(runs.columns[: 1 + len(PARAMETERS)]) == ["point_id", *PARAMETERS]
    assert (runs["gamma"].dtype, runs["length"].dtype, runs["cell"].dtype) == (np.float64, np.int64, "string")
    assert runs["horizon_10_censored"].dtype == "boolean"
    assert filled.studies()[0].finished == 12
    assert filled.show("s").missing == 0
    assert filled.show("s").study == study()


def test_curves_are_the_lists_of_the_files(filled: Client) -> None:
    curves = filled.curves("s")
    assert list(curves.columns) == ["point_id", "kind", "lag", "ln_norm", "q05", "q50", "q95", *PARAMETERS]
    kinds = curves.groupby("kind")["point_id"].nunique().to_dict()
    assert kinds == {"delta": 12, "adjoint": 12, "bound": 12, "gate_product": 6}
    assert (curves["lag"].dtype, curves["ln_norm"].dtype, curves["cell"].dtype) == (
        np.int64,
        np.float64,
        "string",
    )
    assert curves.loc[curves["kind"] == "bound", ["q05", "q50", "q95"]].isna().all(axis=None)
    by_hand = 0
    for file in filled.store.files():
        table = records.read(filled.store.path(file)).to_pylist()
        for row in table:
            for kind in kinds:
                mine = curves[(curves["point_id"] == row["point_id"]) & (curves["kind"] == kind)]
                expected = row[kind] or []
                assert mine["ln_norm"].tolist() == expected
                assert mine["lag"].tolist() == row["lag"][: len(expected)]
                assert (mine[list(PARAMETERS)].nunique() <= 1).all()
                assert set(mine["seed"]) <= {row["seed"]}
                by_hand += len(expected)
    assert by_hand == len(curves)


def test_curves_of_some_kinds_and_points(filled: Client) -> None:
    curves = filled.curves("s", where={"cell": "simple", "seed": 1, "length": 8}, kind="bound")
    assert curves["lag"].tolist() == list(range(8))
    np.testing.assert_allclose(curves["ln_norm"], 0.0, atol=1e-14)  # σ_1 of an orthogonal U, by SVD
    two = filled.curves("s", kind=["delta", "adjoint"])
    assert set(two["kind"]) == {"delta", "adjoint"}
    saturation = filled.curves("s", where={"length": 4}, kind="saturation")
    assert list(saturation.columns) == ["point_id", "step", "mean", "ln_mean", *PARAMETERS]
    assert saturation.groupby("point_id")["step"].apply(list).tolist() == [[1, 2, 3, 4]] * 6
    assert (saturation["mean"].between(0, 1)).all()


def test_every_kind_of_curve_is_the_list_of_a_probe(client: Client) -> None:
    client.run(study("p", length=6, seed=range(2), probes=list(PROBES)), quiet)
    rows = [row for file in client.store.files() for row in records.read(client.store.path(file)).to_pylist()]
    for kind in kinds.ALONE:
        where, *values = kinds.KINDS[kind].columns.items()
        frame = client.curves("p", kind=kind)
        assert list(frame.columns) == ["point_id", where[0], *(name for name, _ in values), *PARAMETERS]
        having = [row for row in rows if row[values[0][1]] is not None]
        assert set(frame["point_id"]) == {row["point_id"] for row in having}
        assert len(having) == (2 if kind.startswith("gate") else 4)
        for row in having:
            mine = frame[frame["point_id"] == row["point_id"]]
            for name, column in values:
                np.testing.assert_array_equal(mine[name], row[column])
            place = range(len(mine)) if where[1] is None else row[where[1]]
            assert mine[where[0]].tolist() == list(place)
            assert set(mine["cell"]) == {row["cell"]}


def test_no_curves_are_an_empty_frame_of_the_same_types(filled: Client) -> None:
    for kind in (None, "saturation", "saturated"):
        none = filled.curves("s", where={"seed": 99}, kind=kind)
        pd.testing.assert_series_equal(none.dtypes, filled.curves("s", kind=kind).dtypes)
        assert len(none) == 0


def test_wrong_choices_are_refused(filled: Client) -> None:
    with pytest.raises(QueryRefused, match="did you mean 'delta'"):
        filled.curves("s", kind="delt")
    with pytest.raises(QueryRefused, match="or one alone of saturation, "):
        filled.curves("s", kind=["delta", "saturation"])
    with pytest.raises(QueryRefused, match="did you mean 'gamma'"):
        filled.runs("s", where={"gama": 1})
    with pytest.raises(QueryRefused, match="UPDATE is refused"):
        filled.sql("update measures set gamma = 0")


def test_sql_counts(filled: Client) -> None:
    counts = filled.sql("select cell, count(*) as n from study_runs where study = 's' group by 1 order by 1")
    assert counts.to_dict("list") == {"cell": ["lstm", "simple"], "n": [6, 6]}
    with pytest.raises(QueryRefused, match="more than 5 rows"):
        filled.sql("select * from runs", max_rows=5)


# ---- looking after


def test_check_finds_what_is_gone_and_curves_say_so(client: Client) -> None:
    client.run(study(), quiet)
    file = sorted(client.store.files())[0]
    client.store.path(file).unlink()
    findings = client.check()
    assert [(f.level, f.file) for f in findings] == [("error", file)]
    with pytest.raises(BadFile, match="longlag check"):
        client.curves("s")


def test_rm_removes_a_study_and_what_only_it_used(client: Client) -> None:
    client.run(study("one"), quiet)
    client.run(study("two", cell="lstm"), quiet)
    assert len(client.rm("one")) == 2
    assert [s.name for s in client.studies()] == ["two"]
    assert len(client.curves("two")) > 0
    assert client.check() == []


def test_curves_of_a_large_grid_are_quick(client: Client) -> None:
    client.run(
        Study("s", length=64, hidden_size=2, batch_size=1, gamma=linspace(0, 1, 20), seed=range(100)), quiet
    )
    began = time.perf_counter()
    curves = client.curves("s")
    assert len(curves) == 3 * 64 * 2000
    assert time.perf_counter() - began < 5
