"""The services of docker-compose.yml as processes of this machine: their very commands, with other addresses.

Each carries a mark in its environment, which whatever it starts inherits. So a node can be killed with all that
belongs to it, and nothing is left behind; ``ray stop`` would end every Ray of the machine.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
_MARK = "NODES_OF_A_TEST"
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?P<kind>:-|:\?)(?P<rest>[^}]*)\})")


def interpolate(value: Any, given: Mapping[str, str]) -> Any:
    """Compose's own ``$$``, ``${NAME:-default}`` and ``${NAME:?message}`` in every string. Raises LookupError."""
    if isinstance(value, dict):
        return {key: interpolate(inner, given) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, given) for inner in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if found := given.get(match["name"]):
            return found
        if match["kind"] == ":?":
            raise LookupError(f"{match['name']}: {match['rest']}")
        return match["rest"]

    return _VARIABLE.sub(replace, value)


class Nodes:
    """A cluster on this machine: a head, workers and whatever else the services run, each one a process group."""

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ll-nodes-", dir="/tmp"))  # short: it holds sockets
        self.address = f"{_own_address()}:{free_port()}"
        self.token = secrets.token_hex(32)
        self._given = {"RAY_AUTH_TOKEN": self.token, "POSTGRES_PASSWORD": "-", "WORKER_CPUS": "1"}
        self._more = environment
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a process on this machine needs to join the cluster."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_TMPDIR": str(self.folder),  # so that no other Ray of this machine is taken for this one
            **self._more,
        }

    def service(self, name: str) -> dict[str, Any]:
        """A service as compose sees it, with this cluster's address and without a container's."""
        text = interpolate(SERVICES[name], self._given)
        return _replaced(
            text, {"head:6379": self.address, "--port=6379": f"--port={self.address.split(':')[1]}"}
        )

    def start(
        self, name: str, *more: str, mark: str = "", before: Sequence[str] = (), **environment: str
    ) -> str:
        """Run a Ray node's command, with a front and more options, until it says that it runs; returns its mark."""
        mark = mark or name
        command = [*before, *self.service(name)["command"], *more]
        log = self.folder / f"{mark}.log"
        with log.open("wb") as out:
            self._started[mark] = subprocess.Popen(
                command,
                env=self._environment(name, mark) | environment,
                cwd=self.folder,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while "Ray runtime started" not in (text := log.read_text(errors="replace")):
            if self._started[mark].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the node {mark} did not start:\n{text[-3000:]}")
            time.sleep(0.1)
        return mark

    def run(
        self, name: str, command: Sequence[str], folder: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in a service's environment to its end."""
        return subprocess.run(
            command,
            env=self._environment(name, name) | environment,
            cwd=folder or self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def healthy(self, name: str, **environment: str) -> bool:
        """What a service's health check says, run on this machine."""
        return self.run(name, self.service(name)["healthcheck"]["test"][1:], **environment).returncode == 0

    def _environment(self, name: str, mark: str) -> dict[str, str]:
        own = self.service(name).get("environment", {})
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "LONGLAG_", "PG"))}
        return kept | own | self.environment | {"PATH": path, _MARK: f"{self.folder.name}:{mark}"}

    def names(self, mark: str) -> list[str]:
        """What runs on a node; a worker is called after its task."""
        return [process.name() for process in self._processes(f"{self.folder.name}:{mark}")]

    def kill(self, mark: str) -> list[str]:
        """SIGKILL for everything of one node at once: its raylet, its workers; returns their names."""
        killed = []
        while found := set(self._processes(f"{self.folder.name}:{mark}")):
            for process in list(found):  # some overwrite their environment with a title, and lose the mark
                with suppress(psutil.Error):
                    found |= set(process.children(recursive=True))
            for process in found:
                with suppress(psutil.Error):
                    killed.append(process.name())
                    process.kill()
            time.sleep(0.05)
        if mark in self._started:
            self._started.pop(mark).wait(5)
        return killed

    def stop(self) -> None:
        """End everything that was started here, workers first, so that nobody complains of a head that is gone."""
        for mark in reversed(list(self._started)):
            self.kill(mark)
        self.kill("")  # and what ran in a node's environment without being one: what the submitter left
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self, mark: str) -> Iterator[psutil.Process]:
        """What carries a mark; one that ends with ":" is of all nodes."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                value = process.environ().get(_MARK, "")
                same = value.startswith(mark) if mark.endswith(":") else value == mark
                if same and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _replaced(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, words) for inner in value]
    for word, other in words.items():
        value = value.replace(word, other) if isinstance(value, str) else value
    return value


def _own_address() -> str:
    """This machine's address as Ray finds it: the one that faces outwards. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect(("198.51.100.1", 9))
        except OSError:
            return "127.0.0.1"
        return out.getsockname()[0]


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("", 0))
        return trial.getsockname()[1]
