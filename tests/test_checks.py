"""The scorecard: every check passes, every check can fail, and one that fails is said to fail."""

import json
import math

import pytest
from longlag.cli import main
from longlag.workers import Point, checks, measure
from longlag.workers.checks import Entry, Finding
from longlag.workers.checks.base import arrays, worst

FAST = checks.chosen()


@pytest.mark.parametrize("name", FAST)
def test_check(name: str) -> None:
    found = FAST[name].find()
    assert found.error <= found.tolerance, found
    assert math.isfinite(found.value)
    assert math.isfinite(found.reference)


def test_names_and_sources_say_what_is_checked() -> None:
    for name, entry in checks.CHECKS.items():
        assert len(name) <= 90, name
        assert entry.source, name
        assert (entry.find.__doc__ or "").strip(), name
    subjects = [entry.subject for entry in checks.CHECKS.values()]
    assert list(dict.fromkeys(subjects)) == [
        s for i, s in enumerate(subjects) if i == 0 or subjects[i - 1] != s
    ]


def entries(**checked: Finding) -> dict[str, Entry]:
    return {
        name: Entry("arithmetic", lambda found=found: found, "a source") for name, found in checked.items()
    }


RIGHT = Finding(1.0, 1.0, 0.0, 1e-12)


def test_json_is_a_list_of_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", entries(one=RIGHT))
    assert main(["verify", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one == {
        "name": "one",
        "value": 1.0,
        "reference": 1.0,
        "error": 0.0,
        "tolerance": 1e-12,
        "source": "a source",
        "passed": True,
    }


def test_json_of_what_is_no_number_is_null(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", entries(one=Finding(math.nan, 1.0, math.nan, 1e-12)))
    assert main(["verify", "--json"]) == 1
    text = capsys.readouterr().out
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))[0]["value"] is None


@pytest.mark.parametrize("error", [2e-12, math.nan])
def test_a_failing_check_ends_with_one(
    error: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Finding(1.0, 1.0, error, 1e-12)
    monkeypatch.setattr(checks, "CHECKS", entries(fine=RIGHT, broken=wrong))
    assert main(["verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED: broken" in lines
    assert lines[-1].startswith("1 of 2 checks failed in ")


def test_slow_checks_are_done_where_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Entry("patience", lambda: RIGHT, "a source", slow=True)
    monkeypatch.setattr(checks, "CHECKS", entries(quick=RIGHT) | {"long": slow})
    assert main(["verify"]) == 0
    shown = capsys.readouterr().out
    assert "long" not in shown
    assert shown.splitlines()[-1].startswith("all 1 checks passed in ")
    assert shown.splitlines()[-1].endswith("--slow does 1 more")
    assert main(["verify", "--slow"]) == 0
    shown = capsys.readouterr().out
    assert [line.strip() for line in shown.splitlines() if line.strip() in ("arithmetic", "patience")] == [
        "arithmetic",
        "patience",
    ]
    assert shown.splitlines()[-1].startswith("all 2 checks passed in ")


def test_the_worst_of_several_is_the_one_that_fails() -> None:
    fails, nothing = Finding(2.0, 1.0, 1e-3, 1e-6), Finding(math.nan, 1.0, math.nan, 1.0)
    assert worst([RIGHT, fails, Finding(1.0, 1.0, 0.5, 1.0)]) == fails
    assert worst([fails, nothing, RIGHT]) is nothing
    exact = Finding(1.0, 0.0, 1e-300, 0.0)
    assert worst([Finding(1.0, 1.0, 0.9, 1.0), exact]) == exact


def test_arrays_are_compared_element_by_element() -> None:
    found = arrays([[1.0, 2.0], [3.0, 4.5]], [[1.0, 2.0], [3.0, 4.0]], 1e-3)
    assert found == Finding(4.5, 4.0, 0.125, 1e-3)
    assert math.isnan(arrays([1.0, math.nan], [1.0, 2.0], 1.0).error)
    with pytest.raises(ValueError, match="shapes"):
        arrays([1.0], [1.0, 2.0], 1.0)


def test_no_points_are_an_empty_table() -> None:
    assert measure([]).num_rows == 0
    assert measure([]).schema.names == measure(Point(length=2)).schema.names
