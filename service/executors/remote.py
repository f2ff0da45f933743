"""What Ray calls in a worker. A worker imports this file first, and starts the sooner the less it needs."""

from __future__ import annotations

import socket

from threadpoolctl import threadpool_limits

from ...workers.points import KERNEL_VERSION
from ...workers.task import Receipt, Shard
from ..errors import StoreUnavailable
from ..store import Store
from .base import Compute


def run_there(compute: Compute, shard: Shard, store: str, word: str) -> Receipt:
    """In the worker: the shard, if this machine sees the store that the driver sees."""
    if word and not Store(store).check_nonce(word):
        raise StoreUnavailable(unseen(socket.gethostname(), store))
    with threadpool_limits(1):
        return compute(shard, store)


def sees(store: str, word: str) -> tuple[bool, int]:
    """In a node, before the first shard: whether it sees the store, and its kernel's version."""
    return Store(store).check_nonce(word), KERNEL_VERSION


def unseen(host: str, store: str) -> str:
    """What a user is told of a node that does not see the store."""
    return (
        f"the node {host} does not see the store {store}: give a folder that every node of the cluster shares "
        "(--data, LONGLAG_DATA)"
    )
