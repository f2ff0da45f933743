"""The services of docker-compose.yml as processes of this machine: a study over two Ray nodes, with PostgreSQL and
a shared folder, while one node is killed; and what is refused.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from longlag import Client, Study
from longlag.service.errors import ClusterUnavailable, StoreUnavailable
from longlag.service.executors.ray import RayExecutor
from longlag.service.settings import Settings
from longlag.service.store import Store
from nodes import Nodes, free_port

pytestmark = pytest.mark.integration

STUDY = Study(
    "two-nodes",
    grids=[
        {"cell": "simple", "activation": ["tanh", "relu"], "gamma": [0.8, 1.0, 1.2]},
        {"cell": ["lstm", "gru"], "gamma": [0.9, 0.99, 0.999]},
    ],
    length=[64, 200],
    seed=range(8),
    hidden_size=48,
)
OTHER_TOKEN = "0123456789abcdef" * 4
BLIND = """import pathlib
read = pathlib.Path.read_text
def read_text(path, *given, **named):
    if path.name.startswith(".nonce-"):
        raise FileNotFoundError(2, "this node sees another folder", str(path))
    return read(path, *given, **named)
pathlib.Path.read_text = read_text
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A head without cores, and a node; this process, and every driver that it starts, may join their cluster."""
    with Nodes() as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        cluster.start("head")
        cluster.start("worker", "--node-ip-address=127.0.0.2", mark="first")
        yield cluster


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)


def rows(client: Client) -> pd.DataFrame:
    """Every column of the runs but their seconds, by point."""
    frame = client.runs(STUDY.name).set_index("point_id").sort_index()
    return frame[[name for name in frame if name != "seconds" and not name.startswith("shard_")]]


def curves(client: Client) -> pd.DataFrame:
    frame = client.curves(STUDY.name)
    return frame.sort_values(["point_id", "kind", "lag"]).reset_index(drop=True)


def test_a_process_that_had_a_ray_of_its_own_joins_with_the_token(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).create()
    for name in nodes.environment:
        monkeypatch.delenv(name)
    with RayExecutor(Settings.read(data=tmp_path, ray="local", workers=1)):
        pass
    monkeypatch.undo()
    with RayExecutor(Settings.read(data=tmp_path, ray=nodes.address)) as joined:
        assert joined.slots >= 1


@pytest.mark.parametrize("name", ["head", "worker", "submit"])
def test_health_of_a_node(nodes: Nodes, name: str) -> None:
    assert nodes.healthy(name)


def test_a_node_with_another_token_is_not_healthy(nodes: Nodes) -> None:
    assert not nodes.healthy("worker", RAY_AUTH_TOKEN=OTHER_TOKEN)


def test_the_submitter_runs_a_study(nodes: Nodes, postgres_url: str, tmp_path: Path) -> None:
    """``docker compose run --rm submit run examples/tiny.toml``, in a folder as the container has it."""
    (tmp_path / "examples").mkdir()
    Study("tiny", gamma=[0.8, 0.9], length=8, hidden_size=4, seed=range(3)).to_file(
        tmp_path / "examples" / "tiny.toml"
    )
    service = nodes.service("submit")
    assert service["environment"]["LONGLAG_RAY"] == nodes.address
    command = [*service["entrypoint"], "run", "examples/tiny.toml"]
    own = {"LONGLAG_DB": postgres_url, "LONGLAG_DATA": str(tmp_path / "store")}
    try:
        done = nodes.run("submit", command, tmp_path, **own)
    finally:
        nodes.kill("submit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(Client(db=postgres_url).runs("tiny").status) == ["ok"] * 6
    assert list((tmp_path / "store" / "records").glob("*.parquet"))
    assert (tmp_path / "report.html").is_file(), "beside the store, where 'docker compose cp' finds it"


def test_a_node_is_killed_and_the_rows_are_those_of_an_undisturbed_run(
    nodes: Nodes, postgres_url: str, tmp_path: Path
) -> None:
    nodes.start("worker", "--node-ip-address=127.0.0.3", mark="second")
    client = Client(data=str(tmp_path / "shared"), db=postgres_url, ray=nodes.address)
    job = client.submit(STUDY)
    try:
        until(lambda: "ray::shard" in nodes.names("second"), 60, "a shard on the second node")
        assert {"raylet", "ray::shard"} <= set(nodes.kill("second"))
        assert job.progress().done < STUDY.size
        job.wait(timeout=120)
    finally:
        if job.state not in ("done", "failed"):
            job.cancel()
    assert job.state == "done", job.progress()

    inline = Client(data=str(tmp_path / "alone"), ray="inline")
    inline.run(STUDY)
    pd.testing.assert_frame_equal(rows(client), rows(inline), check_exact=True)
    pd.testing.assert_frame_equal(curves(client), curves(inline), check_exact=True)
    assert not list((tmp_path / "shared").rglob(".nonce-*"))
    assert not list((tmp_path / "shared" / "records").glob(".*"))


def test_a_node_that_does_not_see_the_store_is_refused(
    nodes: Nodes, postgres_url: str, tmp_path: Path
) -> None:
    store = tmp_path / "shared"
    store.mkdir()
    front, environment = blind(store, nodes.folder)
    nodes.start("worker", "--node-ip-address=127.0.0.4", mark="blind", before=front, **environment)
    client = Client(data=str(store), db=postgres_url, ray=nodes.address)
    with pytest.raises(StoreUnavailable, match="does not see the store") as refused:
        client.run(STUDY)
    assert str(store) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list((store / "records").iterdir())


def blind(store: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The front of a command, or the environment, that takes the store out of its sight.

    A file system of its own mounted there, where that is allowed; else its Python does not find the word.
    """
    mount = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none '{store}' && exec \"$@\"", "sh"]
    for front in (mount, ["unshare", "--map-root-user", *mount[1:]]):
        if subprocess.run([*front, "true"], capture_output=True, check=False).returncode == 0:
            return front, {}
    (folder / "sitecustomize.py").write_text(BLIND)
    return [], {"PYTHONPATH": str(folder)}


def test_an_address_without_a_head_is_refused_in_seconds(tmp_path: Path) -> None:
    """In one line, so fast that nobody thinks it hangs, and before anything is made."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "longlag",
        "--ray",
        address,
        "--data",
        str(tmp_path / "data"),
        "run",
        "study.toml",
    ]
    STUDY.to_file(tmp_path / "study.toml")
    began = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert time.monotonic() - began < 15
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: nothing answers at {address}")
    assert not (tmp_path / "data").exists()


def test_another_token_is_refused(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", OTHER_TOKEN)
    with pytest.raises(ClusterUnavailable, match="refuses this token"):
        Client(data=str(tmp_path / "data"), ray=nodes.address).run(STUDY)
