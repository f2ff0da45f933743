"""Singular values of the product of Jacobians J_T J_{T−1} … J_{T−ℓ+1} by lag, in logarithms."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..jacobian import Factor, Product, over_factors
from .base import Column, Probe, Sizes, Swept, Values, Work
from .window import spaced

_DENSE = 16
_SAXE = "Saxe, McClelland & Ganguli 2013; Pennington, Schoenholz & Ganguli 2017"


def lags_of(T: int) -> NDArray[np.int64]:
    """Lags at which singular values are kept: 1 … 16, then 16 a decade, and T − 1."""
    return spaced(T - 1, _DENSE) if T > 1 else np.zeros(0, np.int64)


def measure(swept: Swept) -> Values:
    """ln σ_i by lag (means over the first columns), and their largest, mean, condition and effective rank."""
    P, T = swept.stack.inputs.shape[:2]
    S = swept.stack.cell.components * swept.stack.weights.V.shape[-1]
    lags = lags_of(T)
    wanted = {int(lag): i for i, lag in enumerate(lags)}

    def values(factors: Iterator[Factor]) -> dict[str, NDArray[np.float64]]:
        sigma = np.full((P, len(lags), swept.columns, S), np.nan)
        ln_det = np.full((P, len(lags), swept.columns), np.nan)
        product = Product(P, swept.columns, S)
        for t, L, ln_scale, order in factors:
            if t == 1:  # λ_0 is no part of a curve
                break
            product.times(L, ln_scale, order)
            if (i := wanted.get(T - t + 1)) is not None:
                sigma[:, i], ln_det[:, i] = product.ln_singular(), product.ln_det
        return {"sigma": sigma, "ln_det": ln_det}

    cuts = {2, *(T + 1 - lag for lag in wanted)}
    found = over_factors(swept.stack, swept.tape, swept.columns, cuts, values)
    sigma, ln_det = found["sigma"], found["ln_det"]
    share = np.exp(sigma - sigma[..., :1])
    share /= share.sum(axis=-1, keepdims=True)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=-1)
    resolved = np.isfinite(sigma)
    ln_singular = np.where(resolved.all(axis=2), _over_columns(sigma), np.nan)
    last = np.where(resolved[..., -1], sigma[..., 0] - sigma[..., -1], np.nan)
    return {
        "jacobian_lag": np.broadcast_to(lags, (P, len(lags))),
        "jacobian_ln_max": _over_columns(sigma[..., 0]),
        "jacobian_ln_mean": _over_columns(ln_det) / S,
        "jacobian_ln_condition": _over_columns(last),
        "jacobian_rank": _over_columns(np.exp(entropy)),
        "jacobian_resolved": _over_columns(resolved.sum(axis=-1).astype(np.float64)),
        "jacobian_ln_singular": ln_singular.reshape(P, len(lags) * S),
    }


def _over_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over axis 2, the columns, one after the other."""
    result = values[:, :, 0].copy()
    for column in range(1, values.shape[2]):
        result = result + values[:, :, column]
    return result / values.shape[2]


def _cost(s: Sizes) -> Work:
    down, lags = s.down(s.S, s.columns), len(lags_of(s.T))
    held = 8.0 * s.columns * s.S * (s.S * (12 + 2 * s.G / s.components) + 6 * lags)
    factors = s.T if s.components > 1 else min(s.T, s.T / 8 + lags)
    products = 2.0 * s.columns * s.S**3 * factors
    elements = down.elements + 2.0 * factors * s.columns * s.S * s.S
    return Work(down.flops + products, elements, 4 * s.T, (factors + lags) * s.columns, held)


JACOBIAN = Probe(
    "jacobian",
    "singular values of the product of Jacobians by lag",
    (
        Column("jacobian_lag", "list<int64>", "lags", "ℓ: 1 … 16, then 16 a decade"),
        Column("jacobian_ln_max", "list<float64>", "ln", "ln σ_1 of the product over ℓ steps", _SAXE),
        Column("jacobian_ln_mean", "list<float64>", "ln", "mean of ln σ_i, from the determinant", _SAXE),
        Column(
            "jacobian_ln_condition",
            "list<float64>",
            "ln",
            "ln(σ_1/σ_S); null where beyond 1e12, or no number",
        ),
        Column(
            "jacobian_rank",
            "list<float64>",
            "",
            "effective rank: exp of the entropy of σ_i/Σσ",
            "Roy & Vetterli 2007",
        ),
        Column(
            "jacobian_resolved", "list<float64>", "", "how many σ_i are within 1e12 of σ_1 and so are numbers"
        ),
        Column(
            "jacobian_ln_singular",
            "list<float64>",
            "ln",
            "every ln σ_i: S values a lag, descending, lag after lag; null beyond 1e12",
            _SAXE,
        ),
    ),
    measure,
    cost=_cost,
)
