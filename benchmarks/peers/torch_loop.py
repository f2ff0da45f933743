"""PyTorch as people write it: one point after the other, a loop over steps, gradients retained."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Answer, Problem, Work, curves_of
from .torch_cells import ln_norm, loss_at, tensors, torch, unroll


def prepare(problem: Problem) -> tuple[Work, Any]:
    """Curves and all gradients of every point; for other kinds see ``torch_stacked``."""
    arrays, inputs, labels = tensors(problem)
    P = len(inputs)
    leaves = [{n: v[i].clone().requires_grad_() for n, v in arrays.items()} for i in range(P)]

    def work() -> list[tuple[Any, Any, dict[str, Any]]]:
        return [point(problem.cell, leaves[i], inputs[i], labels[i, 0]) for i in range(P)]

    return work, answer


def point(cell: str, p: dict[str, Any], x: Any, labels: Any) -> tuple[Any, Any, dict[str, Any]]:
    """ln‖δ_{T,k}‖ and ln‖λ_{T,k}‖ (T, B), and the gradients of one point."""
    for value in p.values():
        value.grad = None
    hidden, kept = unroll(cell, p, x)
    for parts in (*kept.net, *kept.state):
        for part in parts:
            part.retain_grad()
    loss_at(p, hidden[-1], labels).backward()
    B = x.shape[-2]
    delta, adjoint = (_ln(steps) for steps in (kept.net, kept.state))
    return delta, adjoint, {name: value.grad / B for name, value in p.items()}


def _ln(steps: list[tuple[Any, ...]]) -> Any:
    """(T, B) from the retained gradients; a part that nothing depends on (c of the last step) has none."""
    return torch.stack([ln_norm([part.grad for part in parts if part.grad is not None]) for parts in steps])


def answer(found: list[tuple[Any, Any, dict[str, Any]]]) -> Answer:
    """All points side by side."""
    ln = {
        "delta": np.stack([one[0].numpy() for one in found])[:, None],
        "adjoint": np.stack([one[1].numpy() for one in found])[:, None],
    }
    names = found[0][2]
    gradients = {name: np.stack([one[2][name].numpy() for one in found]) for name in names}
    return Answer(ln, curves_of(ln), gradients)
