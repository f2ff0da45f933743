"""Lag curves and what is read off them: horizons with censoring, decay rate, realised γ.

A curve is r(ℓ) = mean over loss times t ≥ ℓ + 1 and live columns of ln‖·_{t,t−ℓ}‖ − ln‖·_{t,t}‖. All of it
is in natural logarithms, geometric over columns and times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
QUANTILES = (0.05, 0.5, 0.95)
BLOCK = 1 << 20
"""Elements of one point that are handled at once: a long curve goes by parts."""


@dataclass(frozen=True)
class Curve:
    """``mean`` (P, L+1) at every lag; −inf where no column is alive. ``quantiles`` (3, P, len(lags)) over live
    columns at the lags asked for, −inf where none is alive."""

    mean: Float
    quantiles: Float


def curve(ln_norms: Float, loss_times: tuple[int, ...], lags: NDArray[np.int64]) -> Curve:
    """The curve of ln‖·_{t,k}‖ (P, R, T, B), k at index k−1; quantiles at ``lags`` only."""
    P, R, _, B = ln_norms.shape
    L = loss_times[-1] - 1
    mean = np.empty((P, L + 1))
    quantiles = np.empty((len(QUANTILES), P, len(lags)))
    block = max(1, BLOCK // (R * B))
    for first in range(0, L + 1, block):
        some = np.arange(first, min(first + block, L + 1))
        values = ratios(ln_norms, loss_times, some)
        mean[:, some] = live_mean(values)
        wanted = (lags >= first) & (lags <= some[-1])
        quantiles[:, :, wanted] = live_quantiles(values[:, lags[wanted] - first])
    return Curve(mean, quantiles)


def ratios(ln_norms: Float, loss_times: tuple[int, ...], lags: NDArray[np.int64]) -> Float:
    """ln ratio to lag 0 of every loss time and column, (P, lags, R·B); NaN where t < ℓ + 1 or the row is dead."""
    P, R, _, B = ln_norms.shape
    times = np.array(loss_times)
    k = times - 1 - lags[:, None]  # (lags, R), as index
    rows = np.arange(R)
    # contiguous: indexing leaves another layout, in which a sum over R·B has other last bits
    values = np.ascontiguousarray(ln_norms[:, rows, np.maximum(k, 0)])  # (P, lags, R, B)
    values -= ln_norms[:, rows, times - 1][:, None]
    values[:, k < 0] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values.reshape(P, len(lags), R * B)


def live_mean(ratios: Float) -> Float:
    """Mean of the values that are not NaN: (…, n) -> (…); −inf where there is none."""
    total, count = live_sum(ratios)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)


def live_sum(values: Float) -> tuple[Float, NDArray[np.int64]]:
    """Sum of the values that are not NaN, and how many there are: (…, n) -> (…)."""
    dead = np.isnan(values)
    if not dead.any():
        return values.sum(axis=-1), np.full(values.shape[:-1], values.shape[-1])
    return np.where(dead, 0.0, values).sum(axis=-1), values.shape[-1] - dead.sum(axis=-1)


def live_quantiles(ratios: Float) -> Float:
    """Linearly interpolated quantiles of the values that are not NaN: (…, n) -> (3, …); −inf where all are."""
    ordered = np.sort(ratios, axis=-1)  # NaN last
    count = ordered.shape[-1] - np.isnan(ordered).sum(axis=-1)
    last = np.maximum(count - 1, 0)[..., None]
    place = np.multiply(QUANTILES, last)
    low = place.astype(np.int64)
    a, b = (np.take_along_axis(ordered, i, axis=-1) for i in (low, np.minimum(low + 1, last)))
    found = np.where((count > 0)[..., None], a + (place - low) * (b - a), -np.inf)
    return np.ascontiguousarray(np.moveaxis(found, -1, 0))


def rounding(lags: int, dtype: np.dtype) -> Float:
    """How far r(ℓ), ℓ = 0 … lags − 1, may be from its value by the sweep's rounding alone: the tolerance of the
    bound in float64; in float32 drift is below 1e-5 after 5,000 lags."""
    if dtype == np.float32:
        return np.full(lags, 1e-5)
    return 1e-12 + 1e-14 * np.arange(lags, dtype=np.float64)


def first_below(mean: Float, threshold: float, slack: Float) -> Float:
    """First lag, log-linearly interpolated, with r < threshold, (P,); NaN where there is none (censored).

    What is within ``slack`` (L+1,) of the threshold is at it: γ = ½ has r(1) = ln ½, whatever the last bit says.
    """
    below = mean < threshold - slack
    first = np.argmax(below, axis=-1)
    at, before = (_pick(mean, i) for i in (first, np.maximum(first - 1, 0)))
    inside = np.isfinite(at) & (first > 0)
    fraction = np.where(inside, np.maximum(before - threshold, 0.0) / (before - at), 1.0)
    return np.where(below.any(axis=-1), np.where(first > 0, first - 1 + fraction, 0.0), np.nan)


def last_above(mean: Float, threshold: float, slack: Float) -> Float:
    """Last lag with r ≥ threshold (or within ``slack`` of it), plus one, (P,); NaN where that is beyond the curve
    (censored)."""
    above = mean >= threshold - slack
    L = mean.shape[-1] - 1
    last = L - np.argmax(above[:, ::-1], axis=-1)
    value = np.where(above.any(axis=-1), last + 1.0, 0.0)
    return np.where(value > L, np.nan, value)


def mean_lag(mean: Float) -> Float:
    """Σ_ℓ ℓ e^{r(ℓ)} / Σ_ℓ e^{r(ℓ)} over the lags of the curve, (P,); NaN where it is dead at lag 0."""
    started = np.isfinite(mean[:, 0])
    peak = np.where(started, mean.max(axis=-1), 0.0)
    weight = np.exp(mean - peak[:, None])
    lags = np.arange(mean.shape[-1], dtype=np.float64)
    with_lag = (weight * lags).sum(axis=-1)
    return np.where(started, with_lag / np.where(started, weight.sum(axis=-1), 1.0), np.nan)


@dataclass(frozen=True)
class Decay:
    """Least squares of r on ℓ: ``rate`` a lag (negative: vanishing), ``r2``, and γ_realised, each (P,)."""

    rate: Float
    r2: Float
    realised: Float


def decay(mean: Float) -> Decay:
    """On ℓ ∈ [min(10, L/4), L], where the first lags' transient is over; NaN below 4 lags or with dead ones."""
    P, L = mean.shape[0], mean.shape[1] - 1
    start = int(np.ceil(min(10, L / 4)))
    if L - start < 3:
        nothing = np.full(P, np.nan)
        return Decay(nothing, nothing, nothing)
    lags = np.arange(start, L + 1) - (start + L) / 2
    r = np.ascontiguousarray(mean[:, start:])
    centred = r - r.mean(axis=-1, keepdims=True)
    rate = (centred * lags).sum(axis=-1) / (lags * lags).sum()
    spread = (centred * centred).sum(axis=-1)
    left = centred - rate[:, None] * lags
    unexplained = (left * left).sum(axis=-1)
    # a curve that is flat to the sweep's own rounding is a straight line, whatever the noise says
    straight = spread <= r.shape[-1] * (1e-14 * L + 1e-12) ** 2
    r2 = np.where(straight, 1.0, 1 - unexplained / np.where(straight, 1.0, spread))
    finite = np.isfinite(r).all(axis=-1)
    slope = (r[:, -1] - r[:, 0]) / (L - start)
    rate, r2, realised = (np.where(finite, value, np.nan) for value in (rate, r2, np.exp(slope)))
    return Decay(rate, r2, realised)


def _pick(mean: Float, index: NDArray[np.int64]) -> Float:
    return np.take_along_axis(mean, index[:, None], axis=-1)[:, 0]
