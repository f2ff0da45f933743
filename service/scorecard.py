"""What ``verify`` found, kept in the store for its reports."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..workers.points import KERNEL_VERSION
from .store import Store

if TYPE_CHECKING:
    from ..workers.checks import Check


def keep(store: Store, found: Sequence[Check]) -> None:
    """Keep it in place of what was found before; where there is no store, nothing is made."""
    if not store.exists():
        return
    checks = [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row
        }
        for row in ([*asdict(check).items(), ("passed", check.passed)] for check in found)
    ]
    written = datetime.now(UTC).isoformat(timespec="seconds")
    store.keep_scorecard(json.dumps({"kernel": KERNEL_VERSION, "written": written, "checks": checks}))


def read(store: Store) -> dict[str, Any] | None:
    """What was found last: kernel (its version), written (ISO), checks (a dict each); None where nothing is."""
    text = store.scorecard()
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
