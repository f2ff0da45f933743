"""PyTorch with the points stacked: every step is one bmm for all of them, and one backward pass gives
everything."""

from __future__ import annotations

from typing import Any

from .base import Answer, Problem, Work, curves_of
from .torch_cells import ln_norm, loss_at, tensors, torch, unroll


def prepare(problem: Problem) -> tuple[Work, Any]:
    """Curves and all gradients, all pairs, or the Lyapunov spectrum."""
    return _KINDS[problem.kind](problem)


def _sweeps(problem: Problem) -> tuple[Work, Any]:
    arrays, inputs, labels = tensors(problem)
    leaves = {name: value.requires_grad_() for name, value in arrays.items()}
    B = inputs.shape[-2]

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        hidden, kept = unroll(problem.cell, leaves, inputs)
        loss = loss_at(leaves, hidden[-1], labels[:, 0])
        steps = [parts for kind in (kept.net, kept.state) for parts in kind]
        wanted = [part for parts in steps for part in parts]
        found = iter(torch.autograd.grad(loss, [*leaves.values(), *wanted], allow_unused=True))
        gradients = {name: next(found) / B for name in leaves}
        norms = [ln_norm([g for g in [next(found) for _ in parts] if g is not None]) for parts in steps]
        T = len(hidden)
        ln = {"delta": torch.stack(norms[:T], 1), "adjoint": torch.stack(norms[T:], 1)}
        return ln, gradients

    def answer(found: tuple[dict[str, Any], dict[str, Any]]) -> Answer:
        ln = {kind: value.numpy()[:, None] for kind, value in found[0].items()}
        return Answer(ln, curves_of(ln), {name: value.numpy() for name, value in found[1].items()})

    return work, answer


def _pairs(problem: Problem) -> tuple[Work, Any]:
    """One backward pass a loss time, over the steps that it reaches."""
    arrays, inputs, labels = tensors(problem)
    for value in arrays.values():
        value.requires_grad_()

    def work() -> Any:
        hidden, kept = unroll(problem.cell, arrays, inputs)
        P, T, B = inputs.shape[:3]
        ln = torch.full((P, T, T, B), -torch.inf, dtype=inputs.dtype)
        for r in range(T):
            loss = loss_at(arrays, hidden[r], labels[:, r])
            wanted = [part for parts in kept.net[: r + 1] for part in parts]
            found = torch.autograd.grad(loss, wanted, retain_graph=True)
            each = len(kept.net[0])
            steps = [found[i : i + each] for i in range(0, len(found), each)]
            ln[:, r, : r + 1] = torch.stack([ln_norm(list(parts)) for parts in steps], 1)
        return ln

    return work, lambda found: Answer({"delta": found.numpy()})


def _lyapunov(problem: Problem) -> tuple[Work, Any]:
    """Rows Q taken down the steps, and made orthonormal by a batched QR; of the simple cell."""
    arrays, inputs, _ = tensors(problem)
    P, T = inputs.shape[:2]
    C, N = problem.columns, arrays["V"].shape[-1]
    first, last = problem.window

    def work() -> Any:
        with torch.no_grad():
            hidden, _ = unroll(problem.cell, arrays, inputs)
            U = arrays["U"][:, None]
            Q = torch.eye(N, dtype=inputs.dtype).expand(P, C, N, N)
            total = torch.zeros(P, C, N, dtype=inputs.dtype)
            for t in range(T, first - 1, -1):
                slope = 1 - hidden[t - 1][:, :C] ** 2
                rows = (Q * slope[:, :, None]) @ U
                q, r = torch.linalg.qr(rows.mT)
                if t <= last:
                    total += torch.log(torch.abs(torch.diagonal(r, dim1=-2, dim2=-1)))
                Q = q.mT
            mean = total.mean(1) / (last - first + 1)
            return torch.sort(mean, dim=-1, descending=True).values

    return work, lambda found: Answer(spectrum=found.numpy())


_KINDS = {"sweeps": _sweeps, "pairs": _pairs, "lyapunov": _lyapunov}
