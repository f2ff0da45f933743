"""The scorecard: every check passes, and one that fails is said to fail."""

import json
import math

import pytest
from longlag.cli import main
from longlag.workers import Point, checks, measure


@pytest.mark.parametrize("name", checks.CHECKS)
def test_check(name: str) -> None:
    value, reference, error, tolerance = checks.CHECKS[name][0]()
    assert error <= tolerance, (value, reference, error, tolerance)
    assert math.isfinite(value)


def test_json_is_a_list_of_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"one": (lambda: (1.0, 1.0, 0.0, 1e-12), "arithmetic")})
    assert main(["verify", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one == {
        "name": "one",
        "value": 1.0,
        "reference": 1.0,
        "error": 0.0,
        "tolerance": 1e-12,
        "source": "arithmetic",
        "passed": True,
    }


@pytest.mark.parametrize("error", [2e-12, math.nan])
def test_a_failing_check_ends_with_one(
    error: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"one": (lambda: (1.0, 1.0, error, 1e-12), "arithmetic")})
    assert main(["verify"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_no_points_are_an_empty_table() -> None:
    assert measure([]).num_rows == 0
    assert measure([]).schema.names == measure(Point(length=2)).schema.names
