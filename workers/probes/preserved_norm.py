"""How well one step back preserves the error term's norm, and the penalty Ω on what it does not.

ρ_{t,k} = ‖δ_{t,k}‖ / ‖δ_{t,k+1}‖ is the one-step ratio whose distance from 1 Pascanu, Mikolov & Bengio (2013) add
to the loss; the state of their equations is the net input, as here. The paper has norms. The code that they
released has squared norms, of ∂L/∂h; it leaves out steps where they are below 1e−20 and divides by the number of
the others. Here nothing is left out but 0/0: both forms are sums over k, then means over columns and loss times.
"""

import numpy as np
from numpy.typing import NDArray

from ..curves import BLOCK, Float
from .base import Column, Probe, Swept, Values, Work, grid

_PASCANU = "Pascanu, Mikolov & Bengio 2013"


def measure(swept: Swept) -> Values:
    """The mean ratio by lag ℓ = 1 … L, and Ω in both forms, (P,)."""
    times, ln = swept.stack.loss_times, swept.backward.ln_delta
    P, R, _, B = ln.shape
    L = times[-1] - 1
    ratio, plain, squared = (np.zeros((P, L)) for _ in range(3))
    rows = np.zeros((P, R * B), np.bool_)
    block = max(1, BLOCK // (R * B))
    for first in range(1, L + 1, block):
        lags = np.arange(first, min(first + block, L + 1))
        ln_ratios, live = _ln_ratios(ln, times, lags)
        rho = np.exp(ln_ratios)
        count = live.sum(axis=-1)
        ratio[:, lags - 1] = _where(count, np.where(live, rho, 0.0).sum(axis=-1) / np.maximum(count, 1))
        for total, one in ((plain, rho), (squared, rho * rho)):
            total[:, lags - 1] = np.where(live, (one - 1) ** 2, 0.0).sum(axis=-1)
        rows |= live.any(axis=1)
    lags, count = grid(L)[1:], rows.sum(axis=-1)
    return {
        "preserved_lag": np.broadcast_to(lags, (P, len(lags))),
        "preserved_norm": ratio[:, lags - 1],
        "omega": _where(count, plain.sum(axis=-1) / np.maximum(count, 1)),
        "omega_squared_form": _where(count, squared.sum(axis=-1) / np.maximum(count, 1)),
    }


def _where(count: NDArray[np.int64], values: Float) -> Float:
    """NaN where there is nothing to average, or where a ratio is beyond range."""
    return np.where((count > 0) & np.isfinite(values), values, np.nan)


def _ln_ratios(ln: Float, times: tuple[int, ...], lags: NDArray[np.int64]) -> tuple[Float, NDArray[np.bool_]]:
    """ln ρ_{t,t−ℓ} and where it is defined (t ≥ ℓ + 1, ‖δ_{t,t−ℓ+1}‖ > 0): (P, lags, R·B), lags from 1."""
    P, R, _, B = ln.shape
    k = np.array(times)[:, None] - 1 - lags  # (R, lags), as index
    row = np.arange(R)[:, None]
    after, here = ln[:, row, np.maximum(k + 1, 0)], ln[:, row, np.maximum(k, 0)]  # (P, R, lags, B)
    live = (k >= 0)[None, :, :, None] & np.isfinite(after)
    ratios = here - np.where(live, after, 0.0)
    shape = (P, len(lags), R * B)
    return ratios.transpose(0, 2, 1, 3).reshape(shape), live.transpose(0, 2, 1, 3).reshape(shape)


PRESERVED_NORM = Probe(
    "preserved_norm",
    "one-step ratios of the error term's norm, and their distance from 1",
    (
        Column("preserved_lag", "list<int64>", "lags", "ℓ = t − k from 1: all to 1,024, then 64 a decade"),
        Column(
            "preserved_norm",
            "list<float64>",
            "",
            "ρ = ‖δ_{t,t−ℓ}‖ / ‖δ_{t,t−ℓ+1}‖, arithmetic mean over loss times and columns with a δ_{t,t−ℓ+1}; "
            "NaN where there is none",
            _PASCANU,
        ),
        Column(
            "omega",
            "float64",
            "",
            "Ω = Σ_k (ρ_k − 1)² over all steps, mean over columns and loss times: norms as in the paper, no mask; "
            "null without a ratio or beyond range",
            _PASCANU,
        ),
        Column(
            "omega_squared_form",
            "float64",
            "",
            "Σ_k (ρ_k² − 1)²: squared norms as in the released code (there of ∂L/∂h), without mask or division",
            "github.com/pascanur/trainingRNNs",
        ),
    ),
    measure,
    cost=lambda s: Work(
        elements=6.0 * s.R * s.T * s.B,
        bytes=72.0 * min(s.T * s.R * s.B, BLOCK) + 40.0 * s.T,
        kept=16.0 * min(s.T, 1280),
    ),
)
