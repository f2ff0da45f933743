"""The wheel holds what git holds, and runs outside the checkout.

A subpackage that is forgotten in ``packages`` passes every test of an editable install; only a wheel shows it.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("workers/", "service/", "analysis/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tracked (and new) files: a build leaves folders behind where it runs."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def test_it_holds_every_source_file(wheel: Path) -> None:
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    wanted = {
        n for n in tracked() if n.startswith(ROOMS) or (n.endswith(".py") and "/" not in n) or n == "py.typed"
    }
    assert packed == {f"longlag/{name}" for name in wanted}


def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked where nothing else is: the imports, a point measured, the command line's help and a small study."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import longlag, longlag.workers\n"
        "assert longlag.__file__.startswith(sys.path[0]), longlag.__file__\n"
        "from longlag import Client, Point, Study, measure\n"
        "assert measure(Point(length=8)).num_rows == 1\n"
        "study = Study('tiny', length=[4, 8], hidden_size=4)\n"
        "client = Client(data='data', ray='inline')\n"
        "client.run(study)\n"
        "assert list(client.runs('tiny').status) == ['ok', 'ok']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
