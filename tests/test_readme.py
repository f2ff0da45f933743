"""The README is true: its Python runs as it stands, its commands are there, its links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["client", "numerics"])
def test_python_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        env=os.environ | {"LONGLAG_RAY": "inline"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "report" in block:
        assert (tmp_path / "memory.html").is_file()


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link


def test_the_study_of_the_first_command_is_there() -> None:
    (study,) = re.findall(r"uv run longlag run (\S+)", README)
    assert (ROOT / study).is_file()
    assert "pip install uv && uv run pytest\n" in README
