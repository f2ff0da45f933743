"""The command line as people use it: what it prints, where, with which exit code. Stores are real."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from longlag import Client, Study, cli, pages

TINY = """\
name = "tiny"
description = "a dozen points"
length = [4, 8]
hidden_size = 8
batch_size = 2
seed = { range = 2 }

[[grid]]
cell = "simple"
gamma = [0.5, 1.0]

[[grid]]
cell = "lstm"
gamma = 0.9
"""
READING = (
    ["studies"],
    ["jobs"],
    ["show", "tiny"],
    ["query", "select 1"],
    ["curves", "tiny"],
    ["report", "tiny"],
    ["check"],
    ["reindex"],
    ["rm", "tiny"],
    ["cancel", "tiny"],
    ["resume", "tiny"],
)
ESCAPES = re.compile(r"\x1b|\r|[─-▟]")
"""Control codes, and box drawing."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the study file, and an environment without settings of ours."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("LONGLAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the tiny study is complete; nobody changes it."""
    folder = tmp_path_factory.mktemp("complete") / "data"
    Client(folder, ray="inline").run(Study.from_toml(TINY), lambda progress: None)
    return folder


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.endswith("\n")


def longlag(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose output is no terminal."""
    command = [sys.executable, "-m", "longlag", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


# ---- the newcomer's road


@pytest.mark.acceptance
def test_run_says_what_was_run_then_the_summary_then_where_it_is_then_what_is_next(here: Path) -> None:
    first = longlag("run", "tiny.toml", "--ray", "inline")
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[:2] == ["tiny: 12 points", "a dozen points"]
    assert lines[2].startswith("computed 12 points in ")
    assert "T = 8, over 2 seeds" in lines
    assert any(line.split() == ["γ", "0.5", "1"] for line in lines)
    assert any(line.startswith("bound γ^ℓ") for line in lines)
    assert any(line.startswith("reference γ^ℓ") for line in lines)
    assert {line.split()[0] for line in lines if line} >= {"simple", "LSTM", "horizon:", "decay", "status"}
    assert "status  12 ok" in lines
    assert [line.split()[0] for line in lines[-3:]] == ["data", "report", "next:"]
    assert (here / "report.html").is_file()
    assert (here / "report_tables" / "horizon.csv").is_file()
    assert (here / "longlag-data" / "index.sqlite").is_file()
    assert not ESCAPES.search(first.stdout + first.stderr)

    asked = longlag(*re.findall(r'next:   longlag (query) "(.*)"', lines[-1])[0])
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[0].split()[:3] == ["cell", "gamma", "length"]

    again = longlag("run", "tiny.toml", "--ray", "inline")
    assert again.returncode == 0
    assert again.stdout.splitlines()[2] == "nothing to compute: all 12 points are there"
    assert again.stdout.splitlines()[3:] == lines[3:]


@pytest.mark.acceptance
def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(say, here: Path) -> None:
    (here / "tiny.toml").write_text(
        TINY.replace("[4, 8]", "[6000, 7000, 8000, 9000]").replace("range = 2", "range = 4")
    )
    command = [sys.executable, "-m", "longlag", "run", "tiny.toml", "--ray", "inline"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stderr is not None
        assert "of 48 points" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
    assert process.returncode == 130
    assert error.splitlines()[-1].startswith("stopped: job ")
    assert "longlag resume tiny" in error
    assert "Traceback" not in error
    assert say("jobs")[1].splitlines()[1].split()[3] == "interrupted"

    assert say("--ray", "inline", "resume", "tiny", "--quiet") == (0, "", "")
    assert say("jobs")[1].splitlines()[1].split()[3:6] == ["done", "48", "48"]


@pytest.mark.acceptance
def test_submit_goes_on_without_the_terminal(say, here: Path) -> None:
    code, out, error = say("submit", "tiny.toml", "--ray", "inline")
    assert (code, error) == (0, "")
    job = re.match(r"job (\w+)\n", out)
    assert job, out
    assert Client().job(job[1]).wait(timeout=60, on_progress=lambda progress: None) == "done"
    code, out, _ = say("jobs", "tiny")
    assert out.splitlines()[1].split()[:6] == [job[1], "tiny", "1", "done", "12", "12"]


@pytest.mark.acceptance
def test_points_in_error_end_with_three_and_are_tried_again(say, monkeypatch: pytest.MonkeyPatch) -> None:
    from longlag.workers import task

    working = task.run

    def fails_for_a_seed(tasks, *how):
        if any(one.point.seed == 1 for one in tasks):
            raise ArithmeticError("a planted fault")
        return working(tasks, *how)

    monkeypatch.setattr(task, "run", fails_for_a_seed)
    code, out, error = say("run", "tiny.toml", "--ray", "inline")
    assert code == 3
    assert "status  6 ok, 6 error" in out
    assert "ArithmeticError: a planted fault" in out
    assert "error: 6 points are in error: the same command tries them again\n" in error
    code, out, _ = say("plan", "tiny.toml")
    assert "6 in error, to be tried again" in out

    monkeypatch.setattr(task, "run", working)
    code, out, _ = say("run", "tiny.toml", "--ray", "inline")
    assert code == 0
    assert "computed 6 points in" in out
    assert "status  12 ok" in out


# ---- how it is called


def test_help_lists_every_verb_and_a_bare_call_is_a_wrong_one(say) -> None:
    code, out, _ = say("--help")
    assert code == 0
    for verb in ("run", "submit", "plan", "studies", "jobs", "show", "cancel", "resume"):
        assert re.search(rf"^  {verb} ", out, re.MULTILINE), verb
    for verb in ("query", "curves", "report", "check", "reindex", "rm"):
        assert re.search(rf"^  {verb} ", out, re.MULTILINE), verb
    assert not re.search(r"^  drive ", out, re.MULTILINE)
    assert not ESCAPES.search(out)
    assert say() == (2, out, "")


@pytest.mark.acceptance
@pytest.mark.parametrize("command", ["import longlag", "from longlag import cli; cli.main(['--help'])"])
def test_help_and_the_package_load_nothing_heavy(command: str) -> None:
    heavy = ["numpy", "pandas", "pyarrow", "ray", "sqlalchemy", "matplotlib", "pydantic", "rich"]
    script = f"import sys; {command}; print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["runn"], "did you mean 'run'?"),
        (["run"], "STUDY.toml"),
        (["query"], "SQL"),
        (["jobs", "--wrokers", "2"], "no such option: --wrokers"),
        (["--workers", "many", "jobs"], "--workers"),
        (["jobs", "--workers", "0"], "workers = 0"),
        (["jobs", "--ray", "somewhere"], "give local, inline, auto, or host:port"),
        (["run", "tiny.toml", "--memory", "lots"], "memory = 'lots'"),
        (["query", "select 1", "--csv", "--json"], "give one of --csv, --json and --parquet FILE"),
        (["curves", "tiny", "--where", "cell"], "give COLUMN=VALUE"),
    ],
)
def test_a_wrong_call_is_one_line_and_two(say, store: Path, arguments: list[str], expected: str) -> None:
    code, out, error = say("--data", store, *arguments)
    assert (code, out) == (2, "")
    assert one_line(error)
    assert error.startswith("error: ")
    assert expected.lower() in error.lower()


def test_common_options_stand_before_the_verb_or_after_it(say, store: Path, here: Path) -> None:
    before, after = say("--data", store, "studies"), say("studies", "--data", store)
    assert before == after
    assert before[0] == 0
    assert "a dozen points" in before[1]
    assert say("--data", here / "nowhere", "studies", "--data", store) == after, "the one after goes first"
    assert say("jobs", "--version") == say("--version")
    assert say("--version")[1].startswith("longlag 0.")


def test_the_environment_is_heard(say, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGLAG_DATA", str(store))
    assert "tiny" in say("studies")[1]


# ---- what goes wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "there is no study file study.toml"),
        ('name = "x"\ngamma = [1, 2\n', "line 2, column 14: this is not TOML"),
        ('name = "x"\ngama = 1\n', "did you mean 'gamma'?"),
        ('name = "x"\ncell = "ltsm"\n', "did you mean 'lstm'?"),
        ('name = "x"\ngamma = nan\n', "gamma = nan is out of range"),
        ('name = "x"\nlength = 0\n', "length = 0 is out of range"),
        ('name = "x"\ncell = ["simple", "lstm"]\nactivation = "tanh"\n', "grids=[dict("),
        ("gamma = 1\n", "name"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "plan", "submit"])
def test_a_bad_study_file_is_one_line(say, here: Path, verb: str, text: str | None, expected: str) -> None:
    if text is not None:
        (here / "study.toml").write_text(text)
    code, out, error = say(verb, "study.toml")
    assert (code, out) == (1, "")
    assert one_line(error)
    assert error.startswith("error: ")
    assert "study.toml" in error
    assert expected in error
    assert not (here / "longlag-data").exists()


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_a_reading_command_makes_no_store(say, here: Path, arguments: list[str]) -> None:
    code, out, error = say(*arguments)
    assert (code, out) == (1, "")
    assert one_line(error)
    assert "--data" in error
    assert [path.name for path in here.iterdir()] == ["tiny.toml"]


def test_debug_shows_the_traceback(here: Path) -> None:
    with pytest.raises(LookupError):
        cli.main(["--debug", "show", "tiny"])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("delete from measures", "it only reads"),
        ("with x as (select 1) delete from measures", "may only read"),
        ("select gama from runs", "did you mean 'gamma'?"),
        ("select 1; select 2", "one statement"),
        ("with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n", "--timeout"),
    ],
)
def test_a_query_that_is_refused_is_one_line(say, store: Path, sql: str, expected: str) -> None:
    code, out, error = say("--data", store, "query", sql, "--timeout", "0.3")
    assert (code, out) == (1, "")
    assert one_line(error)
    assert expected in error


def test_the_row_cap_says_how_to_raise_it(say, store: Path) -> None:
    code, _, error = say("--data", store, "query", "select * from runs", "--max-rows", "3")
    assert code == 1
    assert "--max-rows" in error
    assert say("--data", store, "query", "select * from runs", "--max-rows", "12")[0] == 0


@pytest.mark.acceptance
def test_a_reader_that_goes_away_is_no_accident(store: Path) -> None:
    sql = "with recursive n(i) as (select 1 union all select i + 1 from n limit 90000) select i from n"
    script = f'"$0" -m longlag --data "$1" query "{sql}" --csv | head -n 1'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, str(store)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("i\n", "")


# ---- what is shown


def test_plan_computes_nothing_and_says_why(say, here: Path, store: Path) -> None:
    code, out, _ = say("plan", "tiny.toml")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()[1:]}
    assert rows["present"] == ["present", "0"]
    assert rows["missing"][:5] == ["missing", "12", "12", "not", "there"]
    assert {"shards", "memory", "time"} <= set(rows)
    assert "12 points" in out.splitlines()[0]
    assert not (here / "longlag-data").exists()

    (here / "tiny.toml").write_text(TINY.replace("[0.5, 1.0]", "[0.5, 1.0, 1.5]"))
    out = say("plan", "tiny.toml", "--data", store)[1]
    assert re.search(r"present +12\n +missing +4 +4 not there yet", out)

    (here / "tiny.toml").write_text(TINY)
    out = say("plan", "tiny.toml", "--data", store)[1]
    assert re.search(r"missing +0 +there is nothing to compute", out)
    assert out.splitlines()[-1] == f"next: longlag --data {store} report tiny"


def test_plan_knows_points_that_only_lack_a_probe(say, here: Path) -> None:
    few = TINY.replace("length", 'probes = ["gradients"]\nlength')
    Client(ray="inline").run(Study.from_toml(few), lambda progress: None)
    out = say("plan", "tiny.toml")[1]
    assert "12 there without the probes curves, saturation" in out or "12 not there yet" in out


def test_show_has_points_revisions_jobs_files_and_grid(say, store: Path) -> None:
    code, out, _ = say("show", "tiny", "--data", store)
    assert code == 0
    assert out.startswith("tiny, revision 1: 12 points\na dozen points\n")
    for part in ("points by status\n  12 ok\n", "revisions\n", "jobs\n", "files\n", "grid\n"):
        assert part in out
    assert f"in {store / 'records'}" in out
    assert 'name = "tiny"' in out
    assert Study.from_toml("\n".join(out.split("grid\n")[1].splitlines())) == Study.from_toml(TINY)


def test_show_and_jobs_ask_either_database(say, index_url: str) -> None:
    client = Client(db=index_url, ray="inline")
    job = client.run(Study.from_toml(TINY), lambda progress: None)
    code, out, error = say("show", "tiny", "--db", index_url)
    assert (code, error) == (0, "")
    assert re.search(r"files\n  \d+ record files, \d+ KiB, in ", out)
    assert ":@" not in out, "no password, not even an empty one"
    assert say("jobs", "--db", index_url)[1].splitlines()[1].split()[:6] == [
        job.id,
        "tiny",
        "1",
        "done",
        "12",
        "12",
    ]
    assert say("plan", "tiny.toml", "--db", index_url)[0] == 0

    at_work = replace(job.record, state="running", finished=None)
    row = pages.jobs(client, [at_work])[1].text.split()
    assert float(row[6].removesuffix("/s")) > 0, "points a second in the last minute"


def test_a_wrong_name_gives_the_nearest(say, store: Path) -> None:
    for verb in ("show", "jobs", "report", "curves", "rm"):
        code, _, error = say("--data", store, verb, "tinny")
        assert code == 1
        assert one_line(error)
        assert "did you mean 'tiny'?" in error


def test_query_gives_a_plain_table_csv_json_and_parquet(say, store: Path, here: Path) -> None:
    sql = "select cell, gamma, ln_ratio_end, horizon_1, horizon_1_censored from runs order by 1, 2, seed, length"
    ask = ("--data", store, "query", sql)
    frame = Client(store).sql(sql)
    code, out, error = say(*ask)
    assert (code, error) == (0, "")
    assert len(out.splitlines()) == 13
    assert out.splitlines()[0].split() == list(frame.columns)
    assert not ESCAPES.search(out)

    out = say(*ask, "--csv")[1]
    assert [float(line.split(",")[2]) for line in out.splitlines()[1:]] == list(frame["ln_ratio_end"])

    rows = json.loads(say(*ask, "--json")[1])
    assert [row["ln_ratio_end"] for row in rows] == list(frame["ln_ratio_end"])
    assert rows[0]["horizon_1"] is None
    assert rows[0]["horizon_1_censored"] is True

    code, out, error = say(*ask, "--parquet", "rows.parquet")
    assert (code, out, error) == (0, "", "12 rows in rows.parquet\n")
    pd.testing.assert_frame_equal(pd.read_parquet("rows.parquet"), frame, check_dtype=False)
    assert say(*ask, "--quiet", "--parquet", "rows.parquet") == (0, "", "")
    assert sorted(path.name for path in here.iterdir()) == ["rows.parquet", "tiny.toml"]


def test_json_has_infinities_as_text_and_nothing_for_nulls(say, store: Path) -> None:
    sql = "select 1e999 as up, -1e999 as down, null as gone, 'γ' as text"
    out = say("--data", store, "query", sql, "--json")[1]
    assert json.loads(out) == [{"up": "Infinity", "down": "-Infinity", "gone": None, "text": "γ"}]
    assert "γ" in out
    assert json.loads(say("--data", store, "query", "select 1 as a where 0", "--json")[1]) == []
    everything = json.loads(say("--data", store, "query", "select * from runs", "--json")[1])
    assert len(everything) == 12
    (simple, *_) = [row for row in everything if row["cell"] == "simple"]
    assert simple["activation"] == "tanh"
    assert simple["leak"] is None


def test_query_reads_standard_input(say, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("ask.sql", "w+") as file:
        file.write("select count(*) as n from runs")
        file.seek(0)
        monkeypatch.setattr(sys, "stdin", file)
        assert say("--data", store, "query", "-")[1].split() == ["n", "12"]


def test_curves_that_were_not_measured_are_missed_by_name(say, store: Path) -> None:
    code, _, error = say("--data", store, "curves", "tiny", "--kind", "window")
    assert code == 0
    assert one_line(error)
    assert "with the probe 'gradient_by_lag'" in error
    assert say("--data", store, "curves", "tiny", "--kind", "delta")[2] == ""


def test_curves_are_chosen_by_kind_and_columns(say, store: Path) -> None:
    chosen = ("--where", "cell=simple", "--where", "gamma=0.5,1", "--where", "length=4", "--where", "seed=0")
    out = say("--data", store, "curves", "tiny", "--kind", "adjoint", "--kind", "bound", *chosen)[1]
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["point_id", "kind", "lag", "ln_norm", "q05", "q50", "q95", "gamma"], (
        "what is equal is left out"
    )
    assert len(rows) == 2 * 2 * 4
    assert {row[1] for row in rows} == {"adjoint", "bound"}
    assert {float(row[7]) for row in rows} == {0.5, 1.0}
    out = say("--data", store, "curves", "tiny", "--kind", "saturation", *chosen, "--csv")[1]
    assert out.splitlines()[0].startswith("point_id,step,mean,ln_mean,cell,")
    code, _, error = say("--data", store, "curves", "tiny", "--kind", "adjiont")
    assert code == 1
    assert "did you mean 'adjoint'?" in error


def test_check_reindex_and_rm(say, here: Path) -> None:
    Client(ray="inline").run(Study.from_toml(TINY), lambda progress: None)
    assert say("check") == (0, "no errors: index and files agree\n", "")
    (here / "longlag-data" / "index.sqlite").unlink()
    code, out, _ = say("reindex")
    assert code == 0
    assert re.match(r"the index is made anew from \d+ record files\n", out)
    assert say("query", "select count(*) as n from study_runs where study = 'tiny'")[1].split() == ["n", "12"]

    file = next((here / "longlag-data" / "records").glob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    code, out, _ = say("check")
    assert code == 1
    assert out.startswith(f"error: records/{file.name}: truncated")
    file.write_bytes(whole)

    code, out, _ = say("rm", "tiny", "--yes")
    assert code == 0
    assert out.startswith("tiny is removed, and ")
    assert not list((here / "longlag-data" / "records").glob("*.parquet"))
    assert say("studies")[1].split() == []


def test_cancel_says_what_became_of_it(say, store: Path) -> None:
    code, _, error = say("--data", store, "cancel", "tiny")
    assert code == 1
    assert one_line(error)
    assert "longlag jobs" in error


# ---- in a terminal


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_has_colour_unless_it_is_unwanted(
    say, store: Path, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    out = say("--data", store, "query", "select * from runs")[1]
    assert ("\x1b[1m" in out) or not colour
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", out)
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 60 for line in out.splitlines())
