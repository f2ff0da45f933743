"""All pairs: the error term δ_{t,k} of a loss at every step t at every step k ≤ t, T²/2 of them.

The curves of a point speak of its own loss times; here every step has a loss, and the spread over t says whether
one curve can stand for all. Where the point has a loss at every step already, its own sweep is read.
"""

import numpy as np
from numpy.typing import NDArray

from ..adjoint import backward
from ..curves import live_mean, live_quantiles, live_sum
from ..descent import steps_of
from ..outputs import read
from .base import Column, Probe, Sizes, Swept, Values, Work, grid

_AICHER = "Aicher, Foti & Fox 2019"
_TOGETHER = 1 << 16  # ratios of a point


def _norms(swept: Swept) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """ln‖δ_{t,k}‖ (P, T, T, B) for a loss at every step, and those steps."""
    times = tuple(range(1, swept.stack.inputs.shape[1] + 1))
    if swept.stack.loss_times == times:
        return swept.backward.ln_delta, times
    if "pairs" not in swept.shared:
        every = swept.stack.with_losses(times)
        outputs = read(every, swept.tape)
        back = backward(every, swept.tape, outputs, norms_only=True, adjoints=False)
        swept.shared["pairs"] = back.ln_delta
    return swept.shared["pairs"], times


def measure(swept: Swept) -> Values:
    """Mean, spread over t and quantiles of ln‖δ_{t,t−ℓ}‖ − ln‖δ_{t,t}‖ by lag."""
    norms, _ = _norms(swept)
    P, T, _, B = norms.shape
    lags, flat = grid(T - 1), norms.reshape(P, T * T, B)  # t and k = t − ℓ: at (t − 1)·(T + 1) − ℓ
    start = np.ascontiguousarray(flat[:, :: T + 1])
    sums, counts = np.zeros((P, len(lags), T)), np.zeros((P, len(lags), T), np.int64)
    quantiles = np.empty((3, P, len(lags)))
    several = _lags_at_once(T, B)
    for first in range(0, len(lags), several):
        some = slice(first, first + several)
        values = np.full((P, len(lags[some]), T - lags[first], B), np.nan)
        for i, lag in enumerate(lags[some]):  # t = ℓ + 1 … T
            np.subtract(flat[:, lag * T :: T + 1], start[:, lag:], out=values[:, i, lag - lags[first] :])
        values[~np.isfinite(values)] = np.nan
        sums[:, some, lags[first] :], counts[:, some, lags[first] :] = live_sum(values)
        quantiles[:, :, some] = live_quantiles(values.reshape(*values.shape[:2], -1))
    mean, spread = _mean_and_spread(sums, counts)
    names = ("pair_q05", "pair_q50", "pair_q95")
    return {
        "pair_lag": np.broadcast_to(lags, mean.shape),
        "pair_mean": mean,
        "pair_spread": spread,
        **dict(zip(names, quantiles, strict=True)),
    }


def _lags_at_once(T: int, B: int) -> int:
    """Lags whose ratios are handled together: as many as the processor's cache holds."""
    return max(1, _TOGETHER // (T * B))


def _mean_and_spread(
    sums: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From sums over B and their counts (P, lags, T): the mean over t and columns, −inf where there is none, and
    the standard deviation over t of the means over columns, NaN where there are fewer than two. Both (P, lags)."""
    count, n = counts.sum(axis=-1), (counts > 0).sum(axis=-1)
    means = sums / np.maximum(counts, 1)
    centred = np.where(counts > 0, means - (means.sum(axis=-1) / np.maximum(n, 1))[..., None], 0.0)
    square = (centred * centred).sum(axis=-1)
    spread = np.where(n > 1, np.sqrt(square / np.maximum(n - 1, 1)), np.nan)
    return np.where(count > 0, sums.sum(axis=-1) / np.maximum(count, 1), -np.inf), spread


def whole_map(swept: Swept) -> Values:
    """Mean over live columns of ln‖δ_{t,k}‖ − ln‖δ_{t,t}‖ for every t and k: (P, T²), row t−1, column k−1."""
    norms, _ = _norms(swept)
    P, T = norms.shape[:2]
    rows = np.empty((P, T, T))
    for r in range(T):
        start = norms[:, r, r][:, None]
        both = np.isfinite(norms[:, r]) & np.isfinite(start)
        rows[:, r] = live_mean(np.where(both, norms[:, r] - np.where(np.isfinite(start), start, 0.0), np.nan))
        rows[:, r, r + 1 :] = np.nan
    return {"pair_map": rows.reshape(P, T * T)}


def _cost(s: Sizes) -> Work:
    pairs = float(s.T * s.T * s.B)
    lags = min(s.T, 1280)
    several = min(lags, _lags_at_once(s.T, s.B))
    block = 8.0 * (3 * s.T * s.B * (1 + several) + 6 * s.T * lags + 40 * s.T)
    if s.R == s.T:
        return Work(elements=7.0 * pairs, bytes=block, kept=48.0 * lags)
    down = s.down((s.T + 1) / 2, s.B)
    stretch = min(s.T, steps_of(s.B))
    sweep = 8.0 * (pairs + s.T * s.B * (s.N * (3 + s.components) + 5 * s.K + 6 * stretch))
    beside = 8.0 * s.B * s.N * (4 * s.G + 6)
    return Work(
        down.flops,
        down.elements + 7.0 * pairs,
        down.steps,
        bytes=max(block, sweep + beside),
        kept=8.0 * pairs + 48.0 * lags,
    )


def _map_cost(s: Sizes) -> Work:
    work = _cost(s)
    return Work(work.flops, work.elements, work.steps, bytes=work.bytes, kept=work.kept + 8.0 * s.T * s.T)


ALL_PAIRS = Probe(
    "all_pairs",
    "error terms from a loss at every step to every step before it: mean, spread and quantiles by lag",
    (
        Column("pair_lag", "list<int64>", "lags", "ℓ = t − k: all to 1,024, then 64 a decade"),
        Column(
            "pair_mean",
            "list<float64>",
            "ln",
            "mean over t and live columns of the ln ratio to lag 0",
            _AICHER,
        ),
        Column("pair_spread", "list<float64>", "ln", "standard deviation over t of the mean over columns"),
        *(
            Column(f"pair_{q}", "list<float64>", "ln", f"quantile over t and live columns, {q}")
            for q in ("q05", "q50", "q95")
        ),
    ),
    measure,
    cost=_cost,
)
PAIR_MAP = Probe(
    "pair_map",
    "the whole map of error terms, a number for every t and k",
    (
        Column(
            "pair_map",
            "list<float64>",
            "ln",
            "ln ratio to lag 0 for every t and k, T² values: row t − 1, column k − 1; null for k > t",
            _AICHER,
        ),
    ),
    whole_map,
    cost=_map_cost,
)
