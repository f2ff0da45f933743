"""Write tests/data/torch_*.npz anew: small networks with hidden states and adjoints, all from PyTorch's autograd.

The tests compare longlag with these files, so they need no PyTorch. To make them again (PyTorch 2.13, CPU)::

    uv pip install torch==2.13.0 && uv run --no-sync python tests/make_torch_reference.py

A file holds, under ``w/``, the state_dict of a network ``rnn`` with a linear layer ``fc``; ``inputs`` (T, B, M);
``loss_times`` (R,); ``targets`` (T, B, K); for layer l ``hidden_l`` (T, B, N) and ``adjoint_l`` (R, T, B), the norm
of ∂L_t/∂s_k for each column by itself, s being h or, in the LSTM, h and c; under ``g/`` the gradients of the last
layer's L. Each layer has its own: L_t = ½‖fc(h_t) − y_t‖² of its hidden states, summed over t, mean over columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from longlag.workers import Point
from longlag.workers.stack import draw_targets

DATA = Path(__file__).with_name("data")
T, B, M, N, K = 9, 3, 4, 5, 2
LOSS_TIMES = (3, 6, 9)
KINDS = {
    "rnn_tanh": lambda M, N: torch.nn.RNN(M, N),
    "rnn_relu": lambda M, N: torch.nn.RNN(M, N, nonlinearity="relu"),
    "lstm": lambda M, N: torch.nn.LSTM(M, N, num_layers=2),
    "gru": lambda M, N: torch.nn.GRU(M, N),
    "gru_cell": lambda M, N: torch.nn.GRUCell(M, N),
}


def reference(kind: str, sizes=(T, B, M, N, K), times=LOSS_TIMES, seed=0, scale=1.5) -> dict[str, np.ndarray]:
    """Everything a file holds. Weights are PyTorch's own start times ``scale``: away from the linear range."""
    T, B, M, N, K = sizes
    torch.manual_seed(seed)
    network, fc = KINDS[kind](M, N).double(), torch.nn.Linear(N, K).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= scale
    x = torch.randn(T, B, M, dtype=torch.float64)
    y = torch.from_numpy(np.array(draw_targets(Point(length=T, batch_size=B, output_size=K))))
    result = {"inputs": x.numpy(), "targets": y.numpy(), "loss_times": np.array(times)}
    result |= {f"w/rnn.{name}": value.numpy() for name, value in network.state_dict().items()}
    result |= {f"w/fc.{name}": value.numpy() for name, value in fc.state_dict().items()}
    sequence = x
    for i, cell in enumerate(layers(network)):
        hidden, losses, nudges = driven(cell, fc, sequence, y, times)
        result[f"hidden_{i}"], result[f"adjoint_{i}"] = hidden.detach().numpy(), adjoints(losses, nudges)
        gradients = parameter_gradients(sum(losses) / B, cell, fc)
        sequence = hidden.detach()
    if not isinstance(network, torch.nn.GRUCell):  # a step at a time is what the module does at once
        assert float((network(x)[0] - sequence).detach().abs().max()) < 1e-14
    return result | gradients


def layers(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The layers of a network as modules of one layer each."""
    if isinstance(network, torch.nn.GRUCell):
        return [network]
    singles = []
    for i in range(network.num_layers):
        more = {"nonlinearity": network.nonlinearity} if isinstance(network, torch.nn.RNN) else {}
        one = type(network)(
            getattr(network, f"weight_ih_l{i}").shape[1], network.hidden_size, **more
        ).double()
        own = {name: value for name, value in network.state_dict().items() if name.endswith(f"_l{i}")}
        one.load_state_dict({name.replace(f"_l{i}", "_l0"): value for name, value in own.items()})
        singles.append(one)
    return singles


def driven(cell, fc, x, y, times):
    """A layer a step at a time: hidden states (T, B, N), L_t summed over columns, and a zero that was added to
    every part of the state after every step: its gradient is ∂L/∂s_k with the parts of s_k independent."""
    N, hidden, losses, nudges = cell.hidden_size, [], [], []
    parts = 2 if isinstance(cell, torch.nn.LSTM) else 1
    state = [torch.zeros(len(x[0]), N, dtype=x.dtype)] * parts
    for k in range(len(x)):
        if isinstance(cell, torch.nn.GRUCell):
            after = [cell(x[k], state[0])]
        elif parts == 2:
            after = [s[0] for s in cell(x[k : k + 1], tuple(s[None] for s in state))[1]]
        else:
            after = [cell(x[k : k + 1], state[0][None])[1][0]]
        nudges.append([torch.zeros_like(s, requires_grad=True) for s in after])
        state = [s + nudge for s, nudge in zip(after, nudges[-1], strict=True)]
        hidden.append(state[0])
        if k + 1 in times:
            losses.append(((fc(state[0]) - y[k]) ** 2).sum() / 2)
    return torch.stack(hidden), losses, nudges


def adjoints(losses, nudges) -> np.ndarray:
    """‖∂L_t/∂s_k‖ by column, (R, T, B); zero for k > t."""
    flat = [nudge for step in nudges for nudge in step]
    norms = []
    for loss in losses:
        parts = torch.autograd.grad(loss, flat, retain_graph=True, materialize_grads=True)
        squares = torch.stack([(part**2).sum(-1) for part in parts])
        norms.append(squares.reshape(len(nudges), -1, squares.shape[-1]).sum(1).sqrt().numpy())
    return np.array(norms)


def parameter_gradients(loss, cell, fc) -> dict[str, np.ndarray]:
    """∂L/∂θ of a layer and of the read-out, by PyTorch's names without the layer."""
    named = {name.removesuffix("_l0"): p for name, p in cell.named_parameters()}
    named |= {f"fc.{name}": p for name, p in fc.named_parameters()}
    grads = torch.autograd.grad(loss, list(named.values()))
    return {f"g/{name}": grad.numpy() for name, grad in zip(named, grads, strict=True)}


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for number, name in enumerate(KINDS):
        np.savez_compressed(DATA / f"torch_{name}.npz", **reference(name, seed=number))
