"""Is there a Ray head at an address? Asked before joining: ``ray.init`` would hang, and then end the process."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile

from ..errors import ClusterUnavailable, first_line

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
_QUESTION = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def connect(address: str) -> None:
    """Raises ClusterUnavailable, within seconds, where nothing listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as problem:
        raise ClusterUnavailable(
            f"nothing answers at {address}: {first_line(problem)}; is the Ray head running? --ray local needs none"
        ) from None


def probe(address: str) -> None:
    """Raises ClusterUnavailable, within seconds, where no Ray head answers there or it refuses our token."""
    connect(address)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _QUESTION, address],
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            cwd=tempfile.gettempdir(),
        )
    except subprocess.TimeoutExpired:
        raise ClusterUnavailable(
            f"what listens at {address} does not answer as a Ray head does: give the head's own port (6379)"
        ) from None
    if "AuthToken" in done.stderr:
        raise ClusterUnavailable(
            f"the Ray cluster at {address} refuses this token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or "
            "RAY_AUTH_TOKEN_PATH) to the cluster's"
        )
    if done.returncode and "ImportError" not in done.stderr:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ClusterUnavailable(f"the Ray cluster at {address} cannot be joined: {lines[-1]}")
