"""Ray in this process: its environment, a token of its own, and a node of its own that ends with us.

A local Ray starts, and stops, in a third of the time without the processes that only a cluster needs. They are left
out by way of Ray's private classes: where another version has them no more, Ray starts as it likes.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from ..lease import is_alive

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # of a dead worker Ray would tell on our standard output
}
_TOKEN = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
_SPARE = ("start_api_server", "start_monitor", "start_log_monitor")
_LOOK = 0.02  # seconds between two looks whether the node is there; Ray itself looks once a second
_FOLDER = re.compile(r"longlag-ray-(\d+)-\w{8}")


def load(private: ExitStack | None = None) -> ModuleType:
    """Ray, its environment set before it is imported; ``private``: with a token of its own till these stops run."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if private is not None and not _TOKEN & set(os.environ):
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        private.callback(_forget_token)
    import ray
    import ray.exceptions
    import ray.util.scheduling_strategies

    if private is not None:
        refresh_token()
    return ray


def _forget_token() -> None:
    os.environ.pop("RAY_AUTH_MODE", None)
    os.environ.pop("RAY_AUTH_TOKEN", None)
    refresh_token()


def refresh_token() -> None:
    """Ray keeps the token it read once; a process that goes from its own Ray to a cluster needs another."""
    raylet: Any = importlib.import_module("ray._raylet")
    with suppress(AttributeError):  # another version of Ray: only such a change of mind goes wrong
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def lean() -> Iterator[None]:
    """A node that Ray starts in the block has no dashboard, autoscaler and log monitor, and is found at once."""
    node, services = getattr(_private("node"), "Node", None), _private("services")
    with ExitStack() as back:
        for name in _SPARE:
            _replace(back, node, name, lambda before: lambda *_, **__: None)
        _replace(back, services, "get_node", _found_at_once)
        yield


def _private(name: str) -> Any:
    """A private module of Ray; None where this version has none of that name."""
    with suppress(ImportError):
        return importlib.import_module(f"ray._private.{name}")
    return None


def _replace(back: ExitStack, owner: Any, name: str, by: Callable[[Any], Any]) -> None:
    """Put ``by(before)`` in the place of an attribute, if it is there, until these stops run."""
    before = getattr(owner, name, None)
    if before is not None:
        setattr(owner, name, by(before))
        back.callback(setattr, owner, name, before)


def _found_at_once(get_node: Any) -> Any:
    """Ray's question for a node, asked when the node has registered."""

    @functools.wraps(get_node)
    def asked(gcs_address: str, node_id: str) -> Any:
        raylet: Any = importlib.import_module("ray._raylet")
        end = time.monotonic() + 10.0
        with suppress(Exception):  # another version of Ray: then it asks itself
            gcs = raylet.GcsClient(address=gcs_address)
            while time.monotonic() < end and all(i.hex() != node_id for i in gcs.get_all_node_info()):
                time.sleep(_LOOK)
        return get_node(gcs_address, node_id)

    return asked


def shut_down(ray: ModuleType) -> None:
    """End Ray and the node that it started: the raylet is asked to, as it ends its workers; the rest is killed."""
    node: Any = getattr(_private("worker"), "_global_node", None)

    def kill(**asked: Any) -> None:
        usual = functools.partial(type(node).kill_all_processes, node)
        try:
            node._kill_process_type("raylet", check_alive=False, allow_graceful=True)
            usual(check_alive=False)
        except (AttributeError, TypeError):
            usual(**asked)

    if node is not None:
        node.kill_all_processes = kill
    ray.shutdown()


def temporary_folder() -> str:
    """A folder for Ray's sockets, whose paths may have 107 bytes; those of drivers that were killed are cleared."""
    place = tempfile.gettempdir()
    if len(place) > 12:
        place = "/tmp"
    for old in Path(place).glob("longlag-ray-*"):
        made = _FOLDER.fullmatch(old.name)
        if made and not is_alive(int(made[1])) and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"longlag-ray-{os.getpid()}-", dir=place)
