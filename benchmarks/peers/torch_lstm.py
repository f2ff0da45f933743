"""PyTorch's own nn.LSTM, one point after the other: gradients of inputs and parameters only, no error terms.

Its steps are hidden, so it cannot give curves; it is here for the time of the library's own kernel. nn.GRU has
its reset gate behind the product, which is another cell than the one that is compared, and is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Answer, Problem, Work
from .torch_cells import tensors, torch

ORDER = (0, 1, 3, 2)
"""PyTorch's blocks i, f, g, o in terms of ours, i, f, o, c; its own inverse."""


def prepare(problem: Problem) -> tuple[Work, Any]:
    """Gradients of every point with a loss at the last step."""
    arrays, inputs, labels = tensors(problem)
    P, _, B, M = inputs.shape
    N = arrays["V"].shape[-1]
    layers = []
    for i in range(P):
        layer = torch.nn.LSTM(M, N, dtype=inputs.dtype)
        with torch.no_grad():
            layer.weight_hh_l0.copy_(reordered(arrays["U"][i], N))
            layer.weight_ih_l0.copy_(reordered(arrays["W"][i], N))
            layer.bias_ih_l0.copy_(reordered(arrays["b"][i], N))
            layer.bias_hh_l0.zero_()
        head = [arrays[name][i].clone().requires_grad_() for name in ("V", "d")]
        layers.append((layer, head))

    def work() -> list[list[Any]]:
        found = []
        for i, (layer, (V, d)) in enumerate(layers):
            x = inputs[i].detach().requires_grad_()
            hidden, _ = layer(x)
            loss = ((hidden[-1] @ V.mT + d - labels[i, 0]) ** 2).sum() / 2
            wanted = [layer.weight_hh_l0, layer.weight_ih_l0, layer.bias_ih_l0, V, d]
            found.append(torch.autograd.grad(loss, [*wanted, x]))
        return found

    def answer(found: list[list[Any]]) -> Answer:
        blocks = {
            name: np.stack([(reordered(one[i], N) / B).numpy() for one in found])
            for i, name in enumerate("UWb")
        }
        head = {name: np.stack([(one[3 + i] / B).numpy() for one in found]) for i, name in enumerate("Vd")}
        return Answer(gradients=blocks | head)

    return work, answer


def reordered(array: Any, N: int) -> Any:
    """The blocks of rows of an array (4 N, …) in the other library's order."""
    parts = torch.split(array, N)
    return torch.cat([parts[g] for g in ORDER])
