"""The scorecard of ``verify`` in the reports of a store."""

import analysis_frames as make
from longlag.analysis import report, verification
from longlag.analysis.load import from_client
from longlag.service.client import Client
from longlag.service.study import Study
from longlag.workers.checks import Check
from longlag.workers.points import KERNEL_VERSION

FOUND = [
    Check("error terms", "a slope", 1.0, 1.0, 2e-13, 1e-12, "derived"),
    Check("error terms", "exactly", 0.0, 0.0, 0.0, 0.0, "derived"),
    Check("memory", "a sum", 3.0, 4.0, float("inf"), 0.1, "derived"),
]


def test_without_a_store_nothing_is_made(tmp_path):
    client = Client(data=str(tmp_path / "none"), ray="inline")
    client.keep_scorecard(FOUND)
    assert client.scorecard() is None
    assert not (tmp_path / "none").exists()


def test_a_report_shows_what_verify_found(tmp_path):
    client = Client(data=str(tmp_path), ray="inline")
    client.submit(Study("small", cell="linear", gamma=[0.9], length=8, hidden_size=2, seed=0)).wait()
    before = report.report_of(from_client(client, "small"), study="small").html()
    assert 'id="verification"' not in before
    assert "longlag verify" in before
    client.keep_scorecard(FOUND)
    page = report.report_of(from_client(client, "small"), study="small").html()
    assert 'id="verification"' in page
    assert "1 of 3 checks failed" in page
    assert not [f for f in client.check() if f.level == "error"]


def test_rows_by_subject_and_an_older_kernel():
    rows = [{**vars(check), "passed": check.passed} for check in FOUND]
    rows[2]["error"] = None
    card = {"kernel": KERNEL_VERSION, "written": "2026-01-02T03:04:05+00:00", "checks": rows[:2]}
    assert verification.by_subject(card).groups == [("error terms", [["2", "2", "0.20"]])]
    assert verification.caption(card).endswith("on 2026-01-02: all 2 passed.")
    assert verification.by_subject({**card, "checks": rows}).groups[1] == ("memory", [["1", "0", "–"]])
    assert "older kernel" in verification.caption({**card, "kernel": KERNEL_VERSION - 1})
    assert verification.every(card).row_count == 2


def test_frames_that_are_not_of_a_store_have_none():
    frames = make.frames(make.points(2, length=16), lambda p: -0.1)
    built = report.build_report(frames["runs"], frames["curves"])
    assert "verification" not in [section.name for section in built.sections]
