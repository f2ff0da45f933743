"""The scorecard in a report: what ``longlag verify`` has found last on the store of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..workers.points import KERNEL_VERSION
from .tables import Table, grouped
from .text import number, plural


def caption(scorecard: Mapping[str, Any]) -> str:
    """How many checks passed, when, and of which kernel."""
    checks = scorecard["checks"]
    failed = [check["name"] for check in checks if not check["passed"]]
    verdict = (
        f"{len(failed)} of {plural(len(checks), 'check')} failed" if failed else f"all {len(checks)} passed"
    )
    old = scorecard["kernel"] != KERNEL_VERSION
    other = f", of an older kernel (version {scorecard['kernel']}): run it again" * old
    return (
        "Closed forms, complex step and other roads to the same number, by longlag verify on "
        f"{scorecard['written'][:10]}: {verdict}{other}."
    )


def by_subject(scorecard: Mapping[str, Any]) -> Table:
    """A row a subject: its checks, how many passed, and how near the worst came to its tolerance."""
    subjects = dict.fromkeys(check["subject"] for check in scorecard["checks"])
    rows = []
    for subject in subjects:
        own = [check for check in scorecard["checks"] if check["subject"] == subject]
        shares = [share for check in own if (share := _share(check)) is not None]
        worst = max(shares) if len(shares) == len(own) else None
        passed = sum(check["passed"] for check in own)
        rows.append([subject, str(len(own)), str(passed), "–" if worst is None else number(worst)])
    return grouped("", ["subject", "checks", "passed", "largest error / tolerance"], rows)


def _share(check: Mapping[str, Any]) -> float | None:
    """Error over tolerance; None where there is none, or an exact check fails."""
    error, tolerance = check["error"], check["tolerance"]
    if error is None or tolerance is None or (not tolerance and error):
        return None
    return error / tolerance if tolerance else 0.0


def every(scorecard: Mapping[str, Any]) -> Table:
    """A row a check."""
    rows = []
    for check in scorecard["checks"]:
        values = (check[name] for name in ("value", "reference", "error", "tolerance"))
        texts = ["–" if value is None else f"{value:.4g}".replace("-", "−") for value in values]
        rows.append([check["name"], *texts, "passed" if check["passed"] else "FAILED"])
    return grouped("Every check", ["check", "value", "reference", "error", "tolerance", ""], rows)
