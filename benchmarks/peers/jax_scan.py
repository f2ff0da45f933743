"""JAX as its users write it: the step in a scan, grad of the loss, vmap over points, all of it under jit.

Error terms and adjoints are gradients with respect to zeros that are added to net inputs and states.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from .base import Answer, Problem, Work

jax: Any = import_module("jax")
jax.config.update("jax_enable_x64", True)
jnp: Any = import_module("jax.numpy")

BLOCKS = {"simple": 1, "linear": 1, "memory": 1, "lstm": 4, "gru": 3}
PARTS = {"lstm": 2}
"""Parts of the state: h and c."""
_ROWS = 64
"""Loss times that are taken down together; 16 and 256 were slower."""


def prepare(problem: Problem) -> tuple[Work, Any]:
    """Curves and all gradients, all pairs, or the Lyapunov spectrum."""
    return _KINDS[problem.kind](problem)


def project(cell: str, p: dict[str, Any], x: Any) -> Any:
    """W x + b of all steps at once: (T, B, M) -> (T, B, G·N)."""
    z = (jnp.tanh(x) if cell in ("linear", "memory") else x) @ p["W"].T
    return z + p["b"] if "b" in p else z


def step(
    cell: str, p: dict[str, Any], state: tuple[Any, ...], z: Any, push: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The new state, (h) or (h, c); ``push`` are zeros, for every part of the state, that are added to it."""
    h, N = state[0], p["V"].shape[-1]
    if cell == "simple":
        return (jnp.tanh(z + h @ p["U"].T) + push[0],)
    if cell in ("linear", "memory"):
        return (p["a"] * h + z + push[0],)
    if cell == "lstm":
        i, f, o, g = jnp.split(z + h @ p["U"].T, 4, axis=-1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c) + push[0], c + push[1]
    k, r = jnp.split(jax.nn.sigmoid(z[:, : 2 * N] + h @ p["U"][: 2 * N].T), 2, axis=-1)
    n = jnp.tanh(z[:, 2 * N :] + (r * h) @ p["U"][2 * N :].T)
    return (k * h + (1 - k) * n + push[0],)


def unroll(cell: str, p: dict[str, Any], x: Any, dz: Any, ds: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of the state behind every step, (T, B, N) each; ``dz`` (T, B, G·N) is added to the net inputs."""
    zero = jnp.zeros((x.shape[1], p["V"].shape[-1]), x.dtype)

    def advance(state: tuple[Any, ...], at: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        new = step(cell, p, state, at[0], at[1:])
        return new, new

    start = (zero,) * PARTS.get(cell, 1)
    return jax.lax.scan(advance, start, (project(cell, p, x) + dz, *ds))[1]


def read(cell: str, p: dict[str, Any], state: Any, labels: Any) -> Any:
    """½‖V h + d − y‖² of every column: (…, B, N) -> (…, B)."""
    h = jnp.tanh(state) if cell == "memory" else state
    return ((h @ p["V"].T + p["d"] - labels) ** 2).sum(-1) / 2


def zeros(cell: str, p: dict[str, Any], x: Any) -> tuple[Any, tuple[Any, ...]]:
    """What is added to net inputs and states."""
    T, B, _ = x.shape
    N = p["V"].shape[-1]
    return jnp.zeros((T, B, BLOCKS[cell] * N), x.dtype), (jnp.zeros((T, B, N), x.dtype),) * PARTS.get(cell, 1)


def ln_norm(parts: tuple[Any, ...]) -> Any:
    """ln of the norm over the last axis of all parts together."""
    return 0.5 * jnp.log(sum((part * part).sum(-1) for part in parts))


def point(
    cell: str, p: dict[str, Any], x: Any, labels: Any
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """ln‖δ_{T,k}‖ and ln‖λ_{T,k}‖ (T, B), their curves by lag (T,), and the gradients of one point."""

    def loss(p: dict[str, Any], dz: Any, ds: tuple[Any, ...]) -> Any:
        return read(cell, p, unroll(cell, p, x, dz, ds)[0][-1], labels).sum()

    gradients, delta, adjoint = jax.grad(loss, (0, 1, 2))(p, *zeros(cell, p, x))
    ln = {"delta": ln_norm((delta,)), "adjoint": ln_norm(adjoint)}
    curves = {kind: (v[::-1] - v[-1]).mean(-1) for kind, v in ln.items()}
    return ln, curves, {name: g / x.shape[1] for name, g in gradients.items()}


def _sweeps(problem: Problem) -> tuple[Work, Any]:
    p, x, labels = _arrays(problem)
    run = jax.jit(jax.vmap(lambda p, x, y: point(problem.cell, p, x, y)))

    def answer(found: tuple[dict[str, Any], ...]) -> Answer:
        ln, curves, gradients = ({k: np.asarray(v) for k, v in part.items()} for part in found)
        return Answer({k: v[:, None] for k, v in ln.items()}, curves, gradients)

    return lambda: jax.block_until_ready(run(p, x, labels[:, 0])), answer


def _pairs(problem: Problem) -> tuple[Work, Any]:
    """Loss times by blocks: vmap of the pulled-back loss over a block, map over blocks."""
    p, x, labels = _arrays(problem)
    T = x.shape[1]
    size = min(_ROWS, T)
    blocks = -(-T // size)

    def one(p: dict[str, Any], x: Any, labels: Any) -> Any:
        def losses(dz: Any) -> Any:
            states = unroll(problem.cell, p, x, dz, zeros(problem.cell, p, x)[1])
            return read(problem.cell, p, states[0], labels).sum(-1)

        _, pull = jax.vjp(losses, zeros(problem.cell, p, x)[0])
        unit = jnp.eye(blocks * size, T, dtype=x.dtype).reshape(blocks, size, T)
        rows = jax.lax.map(jax.vmap(lambda e: ln_norm((pull(e)[0],))), unit)
        return rows.reshape(blocks * size, *rows.shape[2:])[:T]

    run = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(run(p, x, labels)), lambda found: Answer(
        {"delta": np.asarray(found)}
    )


def _lyapunov(problem: Problem) -> tuple[Work, Any]:
    """Rows Q taken down the steps and made orthonormal; of the simple cell."""
    p, x, _ = _arrays(problem)
    N, C = p["V"].shape[-1], problem.columns
    first, last = problem.window

    def one(p: dict[str, Any], x: Any) -> Any:
        hidden = unroll(problem.cell, p, x, *zeros(problem.cell, p, x))[0]
        slope = (1 - hidden[first - 1 :, :C] ** 2)[::-1]

        def back(Q: Any, slope: Any) -> tuple[Any, Any]:
            q, r = jnp.linalg.qr(((Q * slope[:, None]) @ p["U"]).swapaxes(-1, -2))
            return q.swapaxes(-1, -2), jnp.log(jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)))

        start = jnp.broadcast_to(jnp.eye(N, dtype=x.dtype), (C, N, N))
        counted = jax.lax.scan(back, start, slope)[1][x.shape[0] - last :]
        return -jnp.sort(-counted.mean((0, 1)))

    run = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(run(p, x)), lambda found: Answer(spectrum=np.asarray(found))


def _arrays(problem: Problem) -> tuple[dict[str, Any], Any, Any]:
    p = {name: jnp.asarray(value, problem.dtype) for name, value in problem.parameters.items()}
    return p, jnp.asarray(problem.inputs, problem.dtype), jnp.asarray(problem.labels, problem.dtype)


_KINDS = {"sweeps": _sweeps, "pairs": _pairs, "lyapunov": _lyapunov}
