"""The five cells in PyTorch, for one point (B, N) and for stacked ones (P, B, N) alike; autograd does the rest."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .base import Problem

torch: Any = import_module("torch")
torch.set_num_threads(1)

BLOCKS = {"simple": 1, "linear": 1, "memory": 1, "lstm": 4, "gru": 3}


class Kept:
    """What autograd is asked for: net inputs z and what stands for the state (its parts), one entry a step."""

    def __init__(self) -> None:
        self.net: list[tuple[Any, ...]] = []
        self.state: list[tuple[Any, ...]] = []


def project(cell: str, p: dict[str, Any], x: Any) -> Any:
    """W x + b of all steps at once: (…, T, B, M) -> (…, T, B, G·N)."""
    T, B, M = x.shape[-3:]
    driven = torch.tanh(x) if cell in ("linear", "memory") else x
    flat = driven.reshape(*x.shape[:-3], T * B, M) @ p["W"].mT
    if "b" in p:
        flat = flat + p["b"].unsqueeze(-2)
    return flat.reshape(*x.shape[:-3], T, B, -1)


def unroll(cell: str, p: dict[str, Any], x: Any) -> tuple[list[Any], Kept]:
    """h of every step, from a state of zeros, and what the gradients are wanted of."""
    drive = project(cell, p, x)
    N, kept, hidden = p["V"].shape[-1], Kept(), []
    zero = torch.zeros(*x.shape[:-3], x.shape[-2], N, dtype=x.dtype)
    U: Any = p["U"].mT if "U" in p else None
    h = c = zero
    a = p["a"].reshape(*p["a"].shape, 1, 1) if "a" in p else None
    for z_in in drive.unbind(-3):
        if cell == "simple":
            z = z_in + h @ U
            h = torch.tanh(z)
            kept.net.append((z,))
            kept.state.append((h,))
        elif cell in ("linear", "memory"):
            c = a * c + z_in
            h = torch.tanh(c) if cell == "memory" else c
            kept.net.append((c,))
            kept.state.append((c,))
        elif cell == "lstm":
            z = z_in + h @ U
            i, f, o, g = z.split(N, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            c = c.view_as(c)  # ∂/∂c of the state, not of what is read off it in the same step
            kept.net.append((z,))
            kept.state.append((h, c))
        else:
            kr = z_in[..., : 2 * N] + h @ U[..., : 2 * N]
            k, r = torch.sigmoid(kr).split(N, dim=-1)
            n_in = z_in[..., 2 * N :] + (r * h) @ U[..., 2 * N :]
            h = k * h + (1 - k) * torch.tanh(n_in)
            kept.net.append((kr, n_in))
            kept.state.append((h,))
        hidden.append(h)
    return hidden, kept


def loss_at(p: dict[str, Any], h: Any, labels: Any) -> Any:
    """½‖V h + d − y‖², summed over columns (and points): columns do not touch each other."""
    y = h @ p["V"].mT + p["d"].unsqueeze(-2)
    return ((y - labels) ** 2).sum() / 2


def ln_norm(parts: list[Any]) -> Any:
    """ln of the norm over the last axis of all parts together."""
    square = sum((part * part).sum(-1) for part in parts)
    return 0.5 * torch.log(square)


def tensors(problem: Problem) -> tuple[dict[str, Any], Any, Any]:
    """Parameters, inputs and labels as tensors of the problem's type."""
    kind = getattr(torch, problem.dtype)
    p = {name: torch.as_tensor(value).to(kind) for name, value in problem.parameters.items()}
    return p, torch.as_tensor(problem.inputs).to(kind), torch.as_tensor(problem.labels).to(kind)
