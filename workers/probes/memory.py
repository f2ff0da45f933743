"""Memory function and capacity: how much of the input k steps ago a linear read-out finds in the hidden state.

MC_k is the squared correlation of u_{t−k} with its best linear prediction from h_t (with an intercept), that is R²,
summed over the M components of the input (Jaeger 2001). For white inputs Σ_k MC_k ≤ N. In a finite sample
everything correlates with everything: R² is about rank/(samples − 1) by chance, and there are many lags. The
corrected values are the adjusted R², 1 − (1 − R²)(n − 1)/(n − rank − 1), whose mean is zero where there is nothing.

The samples are all columns at the steps behind a washout of k_max = min(⌊T/2⌋, max(4N, 256), 1024) steps, so that
every lag 0 … k_max has the same samples and none looks behind the start. Covariances are never formed, for they
square the condition number: the QR factor of [1 h] and Qᵀu take in block after block of samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..segment import SEGMENT
from .base import Column, Probe, Sizes, Swept, Values, Work

Float = NDArray[np.float64]
_ROWS = 1024  # samples of a block, where the batch is smaller
_JAEGER = "Jaeger 2001"


def washout(T: int, N: int) -> int:
    """k_max: the steps that give no samples, and the largest lag."""
    return min(T // 2, max(4 * N, 256), 1024)


def measure(swept: Swept) -> Values:
    """MC_k by lag, both capacities, the rank and what is there by chance."""
    P, T, B, _ = swept.stack.inputs.shape
    N = swept.stack.weights.V.shape[-1]
    most, samples = washout(T, N), (T - washout(T, N)) * B
    targets = _Targets(swept, most)
    R, Qu = _factor(swept, targets, most)
    rank, basis = _rank(R, float(np.finfo(swept.stack.inputs.dtype).eps))
    explained = np.matmul(basis.swapaxes(-1, -2), Qu[:, 1:])  # (P, N, M·lags), zero beyond the rank
    explained = np.ascontiguousarray(explained.swapaxes(-1, -2))
    mean = Qu[:, 0].reshape(targets.squares.shape)
    squares = np.vecdot(explained, explained).reshape(targets.squares.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.where(targets.vary, squares / (targets.squares - mean * mean), 0.0)
        left = samples - rank - 1.0
        factor = np.where(left > 0, (samples - 1) / left, np.nan)[:, None, None]
        corrected = np.where(targets.vary, 1 - (1 - raw) * factor, 0.0)
        chance = rank * targets.vary.sum(axis=(1, 2)) / np.float64(samples - 1)
    some = np.any(targets.vary, axis=(1, 2))
    by_lag = [np.where(some[:, None], _over_inputs(one), np.nan) for one in (corrected, raw)]
    return {
        "memory_lag": np.broadcast_to(np.arange(most + 1), (P, most + 1)),
        "memory_function": by_lag[0],
        "memory_function_raw": by_lag[1],
        "memory_capacity": by_lag[0].sum(axis=-1),
        "memory_capacity_raw": by_lag[1].sum(axis=-1),
        "memory_rank": rank,
        "memory_bias": np.where(some & np.isfinite(chance), chance, np.nan),
    }


def _over_inputs(by_input: Float) -> Float:
    """Σ over the components of the input: (P, M, lags) -> (P, lags)."""
    return np.ascontiguousarray(by_input.swapaxes(-1, -2)).sum(axis=-1)


class _Targets:
    """The delayed inputs u_{t−k}, t behind the washout, less each component's mean over the whole sequence.

    ``squares`` (P, M, lags) are their sums of squares. ``vary`` (P, M, 1) says which components are constant at
    no lag; the others are left out.
    """

    def __init__(self, swept: Swept, most: int) -> None:
        self._inputs, self._most = swept.stack.inputs, most
        P, T, B, M = self._inputs.shape
        flat = np.ascontiguousarray(self._inputs.transpose(0, 3, 1, 2), np.float64)  # (P, M, T, B)
        self._mean = flat.reshape(P, M, T * B).mean(axis=-1)
        flat = flat - self._mean[..., None, None]  # flat may be the inputs themselves
        high, low = flat.max(axis=-1), flat.min(axis=-1)
        squares = np.vecdot(flat, flat)
        self.squares, vary = np.empty((P, M, most + 1)), np.ones((P, M, 1), np.bool_)
        for k in range(most + 1):
            steps = slice(most - k, T - k)
            self.squares[..., k] = np.ascontiguousarray(squares[..., steps]).sum(axis=-1)
            vary[..., 0] &= high[..., steps].max(axis=-1) > low[..., steps].min(axis=-1)
        self.vary: NDArray[np.bool_] = vary

    def block(self, first: int, last: int) -> Float:
        """u_{t−k} at the steps first … last − 1 (from 0): (P, steps·B, M·lags)."""
        P, _, B, M = self._inputs.shape
        past = self._inputs[:, first - self._most : last].astype(np.float64) - self._mean[:, None, None]
        lagged = np.lib.stride_tricks.sliding_window_view(past, self._most + 1, axis=1)[..., ::-1]
        return lagged.reshape(P, (last - first) * B, M * (self._most + 1))


def _steps(B: int) -> int:
    """Steps of a block: a power of two, so that blocks end where segments of the tape do."""
    return 1 << (max(1, min(SEGMENT, _ROWS // B)).bit_length() - 1)


def _factor(swept: Swept, targets: _Targets, most: int) -> tuple[Float, Float]:
    """R (P, N+1, N+1) and Qᵀu (P, N+1, M·lags) of the QR factorisation of [1 h] over all samples.

    R's states are scaled by a power of two a point; that changes neither what they span nor the relative size of
    their singular values.
    """
    P, _, B, M = swept.stack.inputs.shape
    N = swept.stack.weights.V.shape[-1]
    R, Qu = np.zeros((P, N + 1, N + 1)), np.zeros((P, N + 1, M * (most + 1)))
    exponent = np.full(P, -1100, np.int64)
    for first, hidden in _hidden(swept, most):
        rows, h = hidden.shape[1] * B, hidden.reshape(P, -1, N)
        peak = np.frexp(np.abs(h).reshape(P, -1).max(axis=-1))[1].astype(np.int64)
        larger = np.maximum(exponent, peak)
        R[..., 1:] = np.ldexp(R[..., 1:], (exponent - larger)[:, None, None].astype(np.int32))
        exponent = larger
        whole = np.empty((P, N + 1 + rows, N + 1))
        whole[:, : N + 1], whole[:, N + 1 :, 0] = R, 1.0
        whole[:, N + 1 :, 1:] = np.ldexp(h, -exponent[:, None, None].astype(np.int32))
        Q, R = np.linalg.qr(whole)
        u = targets.block(first, first + hidden.shape[1])
        Qu = np.matmul(Q.swapaxes(-1, -2), np.concatenate([Qu, u], axis=1))
    return R, Qu


def _hidden(swept: Swept, most: int) -> Iterator[tuple[int, Float]]:
    """Blocks of hidden states h (P, steps, B, N) behind the washout, and their first steps (from 0)."""
    size = _steps(swept.stack.inputs.shape[2])
    for segment in swept.tape.segments():
        for start in range(segment.start, segment.stop, size):
            first, last = max(start, most), min(start + size, segment.stop)
            if first < last:
                states = segment.part(first - segment.start, last - segment.start).states[1:]
                states = np.ascontiguousarray(states.transpose(1, 2, 0, 3, 4))
                yield first, swept.stack.cell.read_out(states).astype(np.float64)


def _rank(R: Float, precision: float) -> tuple[NDArray[np.int64], Float]:
    """Rank of the centred states (P,), and an orthonormal basis of what they span, zero beyond it (P, N, N).

    A singular value counts where it is above N ε of the largest, or of the states' mean where that is larger.
    """
    N = R.shape[-1] - 1
    basis, values, _ = np.linalg.svd(R[:, 1:, 1:])
    mean = np.sqrt(np.vecdot(R[:, 0, 1:], R[:, 0, 1:]))
    counts = values > (N * precision * np.maximum(values[:, 0], mean))[:, None]
    return counts.sum(axis=-1), np.where(counts[:, None], basis, 0.0)


def _cost(s: Sizes) -> Work:
    most = washout(s.T, s.N)
    lags, samples = s.M * (most + 1), float((s.T - most) * s.B)
    steps = _steps(s.B)
    rows, updates = min(steps, s.T - most) * s.B, (s.T - most) / steps + 1
    flops = 2 * (samples + updates * s.N) * (s.N + 1) * (lags + 2 * (s.N + 1))
    bytes_ = 8.0 * (5 * (rows + s.N + 1) * (s.N + 1) + 2.2 * (rows + s.N + 1) * lags + s.N * (lags + 3 * s.N))
    inputs = 8.0 * s.T * s.M * (s.B + 4)
    return Work(
        flops,
        0.5 * samples * lags,
        3 * updates,
        bytes=max(bytes_, inputs) + 64.0 * lags,
        kept=24.0 * (most + 1),
    )


MEMORY = Probe(
    "memory",
    "memory function and capacity: what a linear read-out finds of past inputs",
    (
        Column(
            "memory_capacity",
            "float64",
            "",
            "Σ_k MC_k over memory_lag, corrected; null where no input varies or samples are too few",
            _JAEGER,
        ),
        Column("memory_capacity_raw", "float64", "", "Σ_k MC_k over memory_lag, as estimated", _JAEGER),
        Column(
            "memory_rank",
            "int64",
            "",
            "numerical rank of the states' covariance: singular values of the centred states above N ε of the "
            "largest (or of their mean, where larger), ε of the dtype",
        ),
        Column(
            "memory_bias",
            "float64",
            "",
            "what MC_k is by chance: rank/(samples − 1) a component of the input",
        ),
        Column("memory_lag", "list<int64>", "steps", "k = 0 … min(T/2, max(4N, 256), 1024)"),
        Column(
            "memory_function",
            "list<float64>",
            "",
            "MC_k: adjusted R² of u_{t−k} by h_t, summed over inputs that vary; NaN where none does",
            _JAEGER,
        ),
        Column("memory_function_raw", "list<float64>", "", "MC_k as estimated: R², summed likewise", _JAEGER),
    ),
    measure,
    _cost,
)
