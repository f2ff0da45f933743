"""Starting: ``longlag --help``, and what ``import longlag`` loads that it should not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from .results import Result, Target
from .timing import Run, clocked, interleaved, median

HEAVY = ("ray", "pandas", "numpy", "sqlalchemy")
"""What importing longlag must not load."""
_HELP_SECONDS = 0.3


def startup(run: Run) -> Iterator[Result]:
    """Two processes in turns with an interpreter that does nothing, which is the limit."""
    bare = [sys.executable, "-c", "pass"]
    cases = {
        "longlag --help": [sys.executable, "-m", "longlag", "--help"],
        "import longlag": [sys.executable, "-c", "import longlag"],
    }
    wanted = {name: command for name, command in cases.items() if run.wants(name)}
    if not wanted:
        return
    contestants = {name: clocked(lambda command=command: _ended(command)) for name, command in wanted.items()}
    rounds = interleaved(
        {**contestants, "bare": clocked(lambda: _ended(bare))}, rounds=3 if run.quick else 15
    )
    for name in wanted:
        seconds = median(rounds[name])
        if name == "import longlag":
            loaded = imported()
            targets = [
                Target("of ray, pandas, NumPy, SQLAlchemy loaded", float(len(loaded)), 0.0, at_most=True)
            ]
            note = f"loads {', '.join(loaded)}" if loaded else ""
        else:
            targets, note = [Target("s", seconds, _HELP_SECONDS, at_most=True)], ""
        yield Result("startup", name, seconds, median(rounds["bare"]), targets=targets, note=note)


def _ended(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def imported() -> list[str]:
    """Which of the heavy libraries ``import longlag`` and its command line load."""
    code = f"import sys, longlag, longlag.cli\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()
