"""The lstm and the gru compiled, both sweeps of one point. Gates of every step are kept; δ takes their place."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numba_elements import collected, compiled, driven, like, read, shares


@compiled
def lstm_step(z: Any, before: Any, c: Any, h: Any) -> None:
    """c = f c + i tanh(z_c), h = o tanh(c), (B, N); z (B, 4, N) becomes i, f, o and tanh(z_c)."""
    N = c.shape[1]
    for i in range(len(c)):
        for n in range(N):
            enter, keep, leave = shares(z[i, 0, n])[0], shares(z[i, 1, n])[0], shares(z[i, 2, n])[0]
            value = z[i, 3, n]
            value = shares(value + value)[2]
            new = keep * before[i, n] + enter * value
            z[i, 0, n], z[i, 1, n], z[i, 2, n], z[i, 3, n] = enter, keep, leave, value
            c[i, n] = new
            h[i, n] = leave * shares(new + new)[2]


@compiled
def lstm_back(gates: Any, before: Any, h: Any, along_h: Any, along_c: Any, squares: Any) -> None:
    """gates (B, 4, N) become δ, along_c the adjoint of c a step before; norms as in ``simple_back``."""
    N = h.shape[1]
    for i in range(len(h)):
        own = above = like(h[i, 0], 0.0)
        for n in range(N):
            enter, keep, leave, value = gates[i, 0, n], gates[i, 1, n], gates[i, 2, n], gates[i, 3, n]
            top, cell = along_h[i, n], along_c[i, n]
            above += top * top + cell * cell
            out = h[i, n] / leave
            cell += top * leave * (like(out, 1.0) - out * out)
            d_i = cell * value * (enter - enter * enter)
            d_f = cell * before[i, n] * (keep - keep * keep)
            d_o = top * out * (leave - leave * leave)
            d_c = cell * enter * (like(out, 1.0) - value * value)
            own += d_i * d_i + d_f * d_f + d_o * d_o + d_c * d_c
            gates[i, 0, n], gates[i, 1, n], gates[i, 2, n], gates[i, 3, n] = d_i, d_f, d_o, d_c
            along_c[i, n] = cell * keep
        squares[0, i], squares[1, i] = own, above


@compiled
def lstm(p: Any, x: Any, labels: Any, room: Any, g: Any, squares: Any, chunk: int) -> None:
    """As ``simple``; the gates of every step are kept, and δ takes their place."""
    U, W, b, V, d = p
    right, left, drive, bias, h, c, net, along_h, along_c, gW = room
    gU, gW_out, gb, gV, gd = g
    (T, B, _), N = x.shape, U.shape[1]
    right[:], left[:], drive[: W.shape[1]], bias[:] = U.T, U, W.T, b
    gates = net.reshape(T, B, 4, N)
    h[0] = c[0] = along_c[:] = gU[:] = gW[:] = gb[:] = gV[:] = gd[:] = like(b[0], 0.0)
    for t in range(T):
        np.dot(h[t], right, net[t])
        driven(net[t], x[t], drive, bias)
        lstm_step(gates[t], c[t], c[t + 1], h[t + 1])
    read(h[T], V, d, labels, along_h, gV, gd)
    for stop in range(T, 0, -chunk):
        start = max(stop - chunk, 0)
        for t in range(stop - 1, start - 1, -1):
            lstm_back(gates[t], c[t], h[t + 1], along_h, along_c, squares[:, t])
            collected(net[t], x[t], gW, gb)
            np.dot(net[t], left, along_h)
        rows = (stop - start) * B
        gU += np.dot(net[start:stop].reshape(rows, 4 * N).T, h[start:stop].reshape(rows, N))
    gW_out[:] = gW[: W.shape[1]].T


@compiled
def gru_gates(z: Any, h: Any, inner: Any) -> None:
    """z (B, 2, N) becomes k and r; inner = r h, (B, N)."""
    for i in range(len(h)):
        for n in range(h.shape[1]):
            reset = shares(z[i, 1, n])[0]
            z[i, 0, n], z[i, 1, n] = shares(z[i, 0, n])[0], reset
            inner[i, n] = reset * h[i, n]


@compiled
def gru_step(z: Any, gates: Any, before: Any, h: Any) -> None:
    """h = n + k (h − n), (B, N); z becomes n = tanh(z)."""
    for i in range(len(h)):
        for n in range(h.shape[1]):
            value = shares(z[i, n] + z[i, n])[2]
            z[i, n] = value
            h[i, n] = value + gates[i, 0, n] * (before[i, n] - value)


@compiled
def gru_above(gates: Any, z: Any, before: Any, adjoint: Any, past: Any, squares: Any) -> None:
    """δ of n into z and of k into gates; λ = adjoint + past, and past becomes k λ."""
    for i in range(len(before)):
        own = above = like(past[i, 0], 0.0)
        for n in range(before.shape[1]):
            keep, value, top = gates[i, 0, n], z[i, n], adjoint[i, n] + past[i, n]
            rest = like(top, 1.0) - keep
            d_k, d_n = (
                top * (before[i, n] - value) * keep * rest,
                top * rest * (like(top, 1.0) - value * value),
            )
            above += top * top
            own += d_k * d_k + d_n * d_n
            gates[i, 0, n], z[i, n], past[i, n] = d_k, d_n, keep * top
        squares[0, i], squares[1, i] = own, above


@compiled
def gru_below(gates: Any, before: Any, through: Any, past: Any, squares: Any) -> None:
    """δ of r into gates, from ``through`` = U_nᵀ δ_n; past += r through."""
    for i in range(len(before)):
        own = squares[0, i]
        for n in range(before.shape[1]):
            reset, down = gates[i, 1, n], through[i, n]
            past[i, n] += reset * down
            d_r = down * before[i, n] * (reset - reset * reset)
            own += d_r * d_r
            gates[i, 1, n] = d_r
        squares[0, i] = own


@compiled
def gru(p: Any, x: Any, labels: Any, room: Any, g: Any, squares: Any, chunk: int) -> None:
    """As ``lstm``; the candidate's block has a product of its own, with r h."""
    U, W, b, V, d = p
    (
        right,
        right_n,
        left,
        left_n,
        drive,
        drive_n,
        bias,
        bias_n,
        h,
        inner,
        net,
        net_n,
        adjoint,
        past,
        gW,
        gW_n,
    ) = room
    gU, gW_out, gb, gV, gd = g
    (T, B, _), N, M = x.shape, U.shape[1], W.shape[1]
    G = 2 * N
    right[:], right_n[:], left[:], left_n[:] = U[:G].T, U[G:].T, U[:G], U[G:]
    drive[:M], drive_n[:M], bias[:], bias_n[:] = W[:G].T, W[G:].T, b[:G], b[G:]
    h[0] = past[:] = gU[:] = gW[:] = gW_n[:] = gb[:] = gV[:] = gd[:] = like(b[0], 0.0)
    gates = net.reshape(T, B, 2, N)
    for t in range(T):
        np.dot(h[t], right, net[t])
        driven(net[t], x[t], drive, bias)
        gru_gates(gates[t], h[t], inner[t])
        np.dot(inner[t], right_n, net_n[t])
        driven(net_n[t], x[t], drive_n, bias_n)
        gru_step(net_n[t], gates[t], h[t], h[t + 1])
    read(h[T], V, d, labels, adjoint, gV, gd)
    for stop in range(T, 0, -chunk):
        start = max(stop - chunk, 0)
        for t in range(stop - 1, start - 1, -1):
            gru_above(gates[t], net_n[t], h[t], adjoint, past, squares[:, t])
            np.dot(net_n[t], left_n, adjoint)
            gru_below(gates[t], h[t], adjoint, past, squares[:, t])
            np.dot(net[t], left, adjoint)
            collected(net[t], x[t], gW, gb[:G])
            collected(net_n[t], x[t], gW_n, gb[G:])
        rows = (stop - start) * B
        gU[:G] += np.dot(net[start:stop].reshape(rows, G).T, h[start:stop].reshape(rows, N))
        gU[G:] += np.dot(net_n[start:stop].reshape(rows, N).T, inner[start:stop].reshape(rows, N))
    gW_out[:G], gW_out[G:] = gW[:M].T, gW_n[:M].T
