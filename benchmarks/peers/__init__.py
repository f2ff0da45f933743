"""Peers: other libraries at the same work, with the same outputs. None of them is needed; those that are there
run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple


class Peer(NamedTuple):
    """How people know it, and what must be importable for it."""

    line: str
    needs: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Whether everything that it needs can be found; nothing is imported."""
        return all(find_spec(name) is not None for name in self.needs)


PEERS = {
    "torch_loop": Peer("PyTorch, a point at a time: a loop with retained gradients", ("torch",)),
    "torch_stacked": Peer("PyTorch, the points stacked: bmm", ("torch",)),
    "jax_scan": Peer("JAX: jit of vmap of scan, with grad", ("jax",)),
    "torch_lstm": Peer("PyTorch's nn.LSTM, a point at a time: gradients only, no error terms", ("torch",)),
    "numba_kernel": Peer("A kernel compiled by hand with Numba, a point at a time", ("numba",)),
    "ray_trials": Peer("Ray Tune, a point a trial", ("ray", "tensorboardX", "torch")),
    "ray_batches": Peer("Ray Tune, a batch of points a trial", ("ray", "tensorboardX", "torch")),
    "optuna": Peer("Optuna with journal storage, a point a trial", ("optuna", "torch")),
    "jax_joblib": Peer("JAX: jit of vmap of scan under joblib, Parquet files", ("jax", "joblib")),
}
"""Every peer by the name of its column."""
INSTALL = "uv sync --group peers"


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name, peer in PEERS.items() if not peer.installed]
