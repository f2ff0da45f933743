"""The simple cell and the loops (linear, memory) compiled, both sweeps of one point."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numba_elements import TOGETHER, collected, compiled, driven, like, read, shares, tanh_of


@compiled
def simple_step(z: Any, h: Any) -> None:
    """h = tanh(z), (B, N)."""
    for i in range(len(z)):
        for n in range(z.shape[1]):
            h[i, n] = shares(z[i, n] + z[i, n])[2]


@compiled
def simple_back(adjoint: Any, h: Any, delta: Any, squares: Any) -> None:
    """δ = λ (1 − h²), (B, N); ‖δ‖² and ‖λ‖² of every row into squares (2, B)."""
    for i in range(len(h)):
        own = above = like(h[i, 0], 0.0)
        for n in range(h.shape[1]):
            value = adjoint[i, n]
            down = value - value * h[i, n] * h[i, n]
            delta[i, n] = down
            own += down * down
            above += value * value
        squares[0, i], squares[1, i] = own, above


@compiled
def simple(p: Any, x: Any, labels: Any, room: Any, g: Any, squares: Any, chunk: int) -> None:
    """Both sweeps of one point: x (T, B, M), squares (2, T, B)."""
    U, W, b, V, d = p
    right, drive, bias, h, z, deltas, adjoint, gW = room
    gU, gW_out, gb, gV, gd = g
    (T, B, _), N = x.shape, len(U)
    right[:], drive[: W.shape[1]], bias[:] = U.T, W.T, b
    h[0] = gU[:] = gW[:] = gb[:] = gV[:] = gd[:] = like(b[0], 0.0)
    for t in range(T):
        np.dot(h[t], right, z)
        driven(z, x[t], drive, bias)
        simple_step(z, h[t + 1])
    read(h[T], V, d, labels, adjoint, gV, gd)
    right[:] = U
    for stop in range(T, 0, -chunk):
        start = max(stop - chunk, 0)
        for t in range(stop - 1, start - 1, -1):
            delta = deltas[t - start]
            simple_back(adjoint, h[t + 1], delta, squares[:, t])
            collected(delta, x[t], gW, gb)
            np.dot(delta, right, adjoint)
        rows = (stop - start) * B
        gU += np.dot(deltas[: stop - start].reshape(rows, N).T, h[start:stop].reshape(rows, N))
    gW_out[:] = gW[: W.shape[1]].T


@compiled
def loop_forward(a: Any, x: Any, W: Any, s: Any) -> None:
    """s_t = a s_{t−1} + W x_t of one column: x (T, M), W (M, N) transposed, s (T+1, N)."""
    for t in range(len(x)):
        x0, x1, x2, x3 = x[t, 0], x[t, 1], x[t, 2], x[t, 3]
        for n in range(s.shape[1]):
            s[t + 1, n] = a * s[t, n] + x0 * W[0, n] + x1 * W[1, n] + x2 * W[2, n] + x3 * W[3, n]
        for m in range(TOGETHER, len(W), TOGETHER):
            x0, x1, x2, x3 = x[t, m], x[t, m + 1], x[t, m + 2], x[t, m + 3]
            for n in range(s.shape[1]):
                s[t + 1, n] += x0 * W[m, n] + x1 * W[m + 1, n] + x2 * W[m + 2, n] + x3 * W[m + 3, n]


@compiled
def loop_back(a: Any, x: Any, s: Any, adjoint: Any, gW: Any, squares: Any) -> Any:
    """One column down its steps, all in one pass a step; ∂L/∂a, and ‖λ‖² into squares (T)."""
    total = like(a, 0.0)
    for t in range(len(x) - 1, -1, -1):
        for m in range(TOGETHER, len(gW), TOGETHER):
            x0, x1, x2, x3 = x[t, m], x[t, m + 1], x[t, m + 2], x[t, m + 3]
            g0, g1, g2, g3 = gW[m], gW[m + 1], gW[m + 2], gW[m + 3]
            for n in range(len(adjoint)):
                g0[n] += x0 * adjoint[n]
                g1[n] += x1 * adjoint[n]
                g2[n] += x2 * adjoint[n]
                g3[n] += x3 * adjoint[n]
        x0, x1, x2, x3 = x[t, 0], x[t, 1], x[t, 2], x[t, 3]
        g0, g1, g2, g3 = gW[0], gW[1], gW[2], gW[3]
        square = along = like(a, 0.0)
        for n in range(len(adjoint)):
            value = adjoint[n]
            square += value * value
            along += value * s[t, n]
            g0[n] += x0 * value
            g1[n] += x1 * value
            g2[n] += x2 * value
            g3[n] += x3 * value
            adjoint[n] = a * value
        squares[t] = square
        total += along
    return total


@compiled
def loop(p: Any, x: Any, labels: Any, room: Any, g: Any, squares: Any, squashed: bool) -> None:
    """Both sweeps of one point, a column after the other: its states (T+1, N) and λ stay in the cache.

    ``squashed``: h = tanh(s), the memory cell. δ = λ, so squares (2, T, B) has both.
    """
    scale, W, V, d = p
    drive, inputs, s, h, signal, gW, norms = room
    ga, gW_out, gV, gd = g
    a = scale[()]
    drive[: W.shape[1]], s[0] = W.T, like(V[0, 0], 0.0)
    ga[()] = gW[:] = gV[:] = gd[:] = like(V[0, 0], 0.0)
    tanh_of(x, inputs)
    for i in range(x.shape[1]):
        loop_forward(a, inputs[:, i], drive, s)
        h[0] = s[-1]
        if squashed:
            tanh_of(s[-1], h[0])
        read(h, V, d, labels[i : i + 1], signal, gV, gd)
        if squashed:
            for n in range(h.shape[1]):
                signal[0, n] *= like(h[0, n], 1.0) - h[0, n] * h[0, n]
        ga[()] += loop_back(a, inputs[:, i], s, signal[0], gW, norms)
        squares[0, :, i] = norms
    squares[1] = squares[0]
    gW_out[:] = gW[: W.shape[1]].T
