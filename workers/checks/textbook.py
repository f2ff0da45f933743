"""The textbook's forward pass of every cell, for references: the equations alone, one point, real or complex.

Nothing of the engine's numerics is used. A derivative is a complex step, Im F(x + i·1e−30)/1e−30, which cancels
nothing and is exact to rounding wherever F is analytic (Squire & Trapp 1998). Sizes: T steps, B columns, N units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..measure import Trace
from ..points import Point

Array = Any
"""Real or complex arrays."""
Arrays = dict[str, Array]
H = 1e-30


def sigma(z: Array) -> Array:
    """1/(1 + e^−z), the exponential taken of the side that does not overflow."""
    e = np.exp(np.where(z.real > 0, -z, z))
    return np.where(z.real > 0, 1 / (1 + e), e / (1 + e))


SQUASH: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "logistic": sigma,
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "identity": lambda z: z,
}


def _dense(p: Arrays, h: Array, x: Array) -> Array:
    return h @ p["U"].T + x @ p["W"].T + p["b"]


def _simple(point: Point, p: Arrays, h: Array, x: Array, push: Array) -> Array:
    return SQUASH[str(point.activation)](_dense(p, h, x) + push)


def _residual(point: Point, p: Arrays, h: Array, x: Array, push: Array) -> Array:
    share = float(point.leak or 0)
    return (1 - share) * h + share * _simple(point, p, h, x, push)


def _loop(point: Point, p: Arrays, s: Array, x: Array, push: Array) -> Array:
    return p["a"] * s + SQUASH[str(point.activation)](x) @ p["W"].T + push


def _lstm_1997(point: Point, p: Arrays, s: Array, x: Array, push: Array) -> Array:
    h, c = np.split(s, 2, axis=-1)
    i, o, g = np.split(_dense(p, h, x) + push, 3, axis=-1)
    c = p["a"] * c + sigma(i) * np.tanh(g)
    return np.concatenate([sigma(o) * np.tanh(c), c], axis=-1)


def _lstm(point: Point, p: Arrays, s: Array, x: Array, push: Array) -> Array:
    h, c = np.split(s, 2, axis=-1)
    i, f, o, g = np.split(_dense(p, h, x) + push, 4, axis=-1)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return np.concatenate([sigma(o) * np.tanh(c), c], axis=-1)


def _lstm_peephole(point: Point, p: Arrays, s: Array, x: Array, push: Array) -> Array:
    h, c = np.split(s, 2, axis=-1)
    pi, pf, po = np.split(p["p"], 3)
    i, f, o, g = np.split(_dense(p, h, x) + push, 4, axis=-1)
    c = sigma(f + pf * c) * c + sigma(i + pi * c) * np.tanh(g)
    return np.concatenate([sigma(o + po * c) * np.tanh(c), c], axis=-1)


def _gru(point: Point, p: Arrays, h: Array, x: Array, push: Array) -> Array:
    (Uk, Ur, Un), (Wk, Wr, Wn), (bk, br, bn) = (np.split(p[name], 3) for name in ("U", "W", "b"))
    pk, pr, pn = np.split(push, 3, axis=-1)
    zk, r = h @ Uk.T + x @ Wk.T + bk + pk, sigma(h @ Ur.T + x @ Wr.T + br + pr)
    before = point.reset == "before"
    recurrent = (r * h) @ Un.T if before else r * (h @ Un.T)
    return sigma(zk) * h + sigma(-zk) * np.tanh(recurrent + x @ Wn.T + bn + pn)


def _mingru(point: Point, p: Arrays, h: Array, x: Array, push: Array) -> Array:
    k, n = np.split(x @ p["W"].T + p["b"] + push, 2, axis=-1)
    return sigma(k) * h + sigma(-k) * n


def _diagonal(point: Point, p: Arrays, h: Array, x: Array, push: Array) -> Array:
    pairs = h.reshape(*h.shape[:-1], -1, 2)
    c, s = p["rho"] * np.cos(p["theta"]), p["rho"] * np.sin(p["theta"])
    turned = np.stack([c * pairs[..., 0] - s * pairs[..., 1], s * pairs[..., 0] + c * pairs[..., 1]], axis=-1)
    return turned.reshape(h.shape) + x @ p["W"].T + p["b"] + push


STEPS: dict[str, Callable[[Point, Arrays, Array, Array, Array], Array]] = {
    "simple": _simple,
    "linear": _loop,
    "memory": _loop,
    "residual": _residual,
    "lstm_1997": _lstm_1997,
    "lstm": _lstm,
    "lstm_peephole": _lstm_peephole,
    "gru": _gru,
    "diagonal": _diagonal,
    "mingru": _mingru,
}
"""(point, arrays, state (B, S), x (B, M), an addition to the net input (B, G·N)) -> the next state (B, S)."""


def read_out(point: Point, p: Arrays, state: Array) -> Array:
    """ŷ = V h + d (…, K): h is the first N of the state, or tanh of the memory cell's."""
    h = np.tanh(state) if point.cell == "memory" else state[..., : point.hidden_size]
    return h @ p["V"].T + p["d"]


def losses(point: Point, y: Array, labels: Array) -> Array:
    """½‖ŷ − y‖², or −ln softmax(ŷ)[y]: (…, K) -> (…)."""
    if point.loss == "squared":
        return ((y - labels) ** 2).sum(axis=-1) / 2
    over = y - np.take_along_axis(y, labels[..., None], axis=-1)
    return np.log(np.exp(over).sum(axis=-1))


def loss(one: Trace, p: Arrays | None = None, k: int = 0, push: Array | None = None) -> Array:
    """ℓ of every loss time and column, (R, B), of a traced point with its own or other arrays.

    ``push`` (B, G·N) is added to the net input of step k (from 1).
    """
    point, p = one.point, p or one.parameters
    T, B, width = one.net_inputs.shape
    still, state = np.zeros((B, width)), one.states[0]
    found = []
    for t in range(1, T + 1):
        added = push if push is not None and t == k else still
        state = STEPS[point.cell](point, p, state, one.inputs[t - 1], added)
        if t in one.loss_times:
            found.append(losses(point, read_out(point, p, state), one.targets[t - 1]))
    return np.array(found)


def gradient(one: Trace, name: str) -> Array:
    """∂L/∂θ of one array of a traced point, element by element."""
    value = np.asarray(one.parameters[name])
    found = np.zeros(value.shape)
    for index in np.ndindex(value.shape):
        moved = value.astype(complex)
        moved[index] += 1j * H
        found[index] = loss(one, {**one.parameters, name: moved}).imag.mean(axis=-1).sum() / H
    return found


def error_terms(one: Trace, k: int) -> Array:
    """δ_{t,k} (R, B, G·N) at step k of a traced point, every loss time, component by component."""
    _, B, width = one.net_inputs.shape
    columns = [loss(one, k=k, push=np.tile(1j * H * e, (B, 1))).imag / H for e in np.eye(width)]
    return np.stack(columns, axis=-1)


def jacobian(one: Trace, k: int) -> Array:
    """∂s_k/∂s_{k−1} (B, S, S) at the states of a traced point."""
    before, still = one.states[k - 1], np.zeros(one.net_inputs.shape[1:])
    step = STEPS[one.point.cell]
    columns = [
        step(one.point, one.parameters, before + 1j * H * e, one.inputs[k - 1], still).imag / H
        for e in np.eye(before.shape[-1])
    ]
    return np.stack(columns, axis=-1)


def tangent(one: Trace, push: Array) -> Array:
    """⟨δ_{T,1}, push⟩ (B,) of a traced point, forwards: one complex step through all steps; push (B, G·N)."""
    return loss(one, k=1, push=1j * H * push)[-1].imag / H


def variants(names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every cell of ``names`` with every analytic activation and reset convention that it has."""
    for name in names:
        if name in ("simple", "residual", "linear", "memory"):
            yield from ({"cell": name, "activation": f} for f in ("tanh", "logistic", "identity"))
        elif name == "gru":
            yield from ({"cell": name, "reset": reset} for reset in ("before", "after"))
        else:
            yield {"cell": name}
