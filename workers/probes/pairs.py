"""All pairs: the error term δ_{t,k} of a loss at every step t at every step k ≤ t, T²/2 of them.

The curves of a point speak of its own loss times; here every step has a loss, and the spread over t says whether
one curve can stand for all. Where the point has a loss at every step already, its own sweep is read.
"""

import numpy as np
from numpy.typing import NDArray

from ..adjoint import backward
from ..curves import live_mean, live_quantiles, ratios
from ..descent import steps_of
from ..outputs import read
from .base import Column, Probe, Sizes, Swept, Values, Work, grid

_AICHER = "Aicher, Foti & Fox 2019"
_BLOCK = 1 << 20


def _norms(swept: Swept) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """ln‖δ_{t,k}‖ (P, T, T, B) for a loss at every step, and those steps."""
    times = tuple(range(1, swept.stack.inputs.shape[1] + 1))
    if swept.stack.loss_times == times:
        return swept.backward.ln_delta, times
    if "pairs" not in swept.shared:
        every = swept.stack.with_losses(times)
        swept.shared["pairs"] = backward(every, swept.tape, read(every, swept.tape), norms_only=True).ln_delta
    return swept.shared["pairs"], times


def measure(swept: Swept) -> Values:
    """Mean, spread over t and quantiles of ln‖δ_{t,t−ℓ}‖ − ln‖δ_{t,t}‖ by lag."""
    norms, times = _norms(swept)
    P, T, _, B = norms.shape
    lags = grid(T - 1)
    mean, spread = np.empty((P, len(lags))), np.empty((P, len(lags)))
    quantiles = np.empty((3, P, len(lags)))
    block = max(1, _BLOCK // (T * B * P))
    for first in range(0, len(lags), block):
        some = slice(first, first + block)
        values = ratios(norms, times, lags[some])
        mean[:, some], quantiles[:, :, some] = live_mean(values), live_quantiles(values)
        by_time = live_mean(values.reshape(P, -1, T, B))
        spread[:, some] = _deviation(np.where(np.isfinite(by_time), by_time, np.nan))
    names = ("pair_q05", "pair_q50", "pair_q95")
    return {
        "pair_lag": np.broadcast_to(lags, mean.shape),
        "pair_mean": mean,
        "pair_spread": spread,
        **dict(zip(names, quantiles, strict=True)),
    }


def _deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of the values that are not NaN (…, n) -> (…); NaN where there are fewer than two."""
    count = (~np.isnan(values)).sum(axis=-1)
    centred = values - live_mean(values)[..., None]
    square = np.where(np.isnan(centred), 0.0, centred * centred).sum(axis=-1)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


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
    block = 8.0 * (7 * min(pairs, _BLOCK + s.T * s.B) + 40 * s.T)
    if s.R == s.T:
        return Work(elements=7.0 * pairs, bytes=block, kept=48.0 * min(s.T, 1280))
    down = s.down((s.T + 1) / 2, s.B)
    sweep = 8.0 * (pairs + s.T * s.B * (s.N * (3 + s.components) + 5 * s.K + 6 * steps_of(s.B)))
    beside = 8.0 * s.B * s.N * (steps_of(s.B) * (4 * s.G + 6) + 4 * s.G + 6)
    return Work(
        down.flops,
        down.elements + 7.0 * pairs,
        down.steps,
        bytes=max(block, sweep + beside),
        kept=8.0 * pairs + 48.0 * min(s.T, 1280),
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
