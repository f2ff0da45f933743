"""Lyapunov spectrum: the mean logarithmic growth of S orthonormal directions, and γ_Lyapunov = exp λ_1.

The rows are taken down the tape and made orthonormal every few steps, which gives the spectrum of the transposed
product; for long sequences it is that of the product itself (Oseledets 1968).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..jacobian import Factor, over_factors
from .base import Column, Probe, Sizes, Swept, Values, Work
from .window import window

_BENETTIN = "Benettin et al. 1980; Vogt et al. 2022; Engelken, Wolf & Abbott 2023"


def measure(swept: Swept) -> Values:
    """λ_1 ≥ … ≥ λ_S, the mean of ln|R_ii| over the window's steps and the first columns, and what follows."""
    P, T = swept.stack.inputs.shape[:2]
    first, last = window(T)
    S = swept.stack.cell.components * swept.stack.weights.V.shape[-1]

    def growth(factors: Iterator[Factor]) -> dict[str, NDArray[np.float64]]:
        total = np.zeros((P, swept.columns, S))
        for t, L, ln_scale, order in factors:
            if t < first:
                break
            if t <= last:
                diagonal = np.abs(np.ascontiguousarray(L.diagonal(axis1=-2, axis2=-1)))
                if order is not None:
                    total = np.take_along_axis(total, order, axis=-1)
                total += np.log(diagonal) + ln_scale[..., None]
        return {"total": total}

    total = over_factors(swept.stack, swept.tape, swept.columns, {first, last + 1}, growth)["total"]
    mean = _mean(total) / (last - first + 1)
    spectrum = -np.sort(-mean, axis=-1)
    slack = 16 * S * float(np.finfo(swept.stack.inputs.dtype).eps)
    return {
        "lyapunov_spectrum": spectrum,
        "gamma_lyapunov": np.exp(spectrum[:, 0]),
        "kaplan_yorke": np.array([kaplan_yorke(one, slack) for one in spectrum]),
        "lyapunov_first_step": np.full(P, first),
        "lyapunov_last_step": np.full(P, last),
    }


def _mean(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the columns (P, columns, S) -> (P, S), column by column."""
    result = total[:, 0].copy()
    for column in range(1, total.shape[1]):
        result += total[:, column]
    return result / total.shape[1]


def kaplan_yorke(spectrum: NDArray[np.float64], slack: float = 0.0) -> float:
    """Dimension j + Σ_{i≤j} λ_i / |λ_{j+1}|, j the last index whose partial sum is not negative; 0 where λ_1 < 0.

    ``spectrum`` (S,) descends (Kaplan & Yorke 1979). S where no partial sum is negative; NaN of NaN.
    A partial sum within ``slack`` of zero is zero: at γ = 1 an orthogonal network keeps all volumes, and rounding
    must not choose the dimension.
    """
    if np.isnan(spectrum).any():
        return float("nan")
    sums = np.cumsum(spectrum)
    j = int(np.count_nonzero(np.logical_and.accumulate(sums >= -slack)))
    if j in (0, len(spectrum)):
        return float(j)
    return j + max(float(sums[j - 1]), 0.0) / -float(spectrum[j])


_FACTORISATIONS = {1: 0.1, 2: 0.6}
"""Factorisations a step, by the components of a state: those of two are ill conditioned, and are made at each."""


def _cost(s: Sizes) -> Work:
    down = s.down(s.S, s.columns)
    held = 8.0 * s.columns * s.S * s.S * (10 + 2 * s.G / s.components)
    rows = _FACTORISATIONS[s.components] * s.T * s.columns * (1 if s.recurrent else 0.4)
    return Work(down.flops, down.elements, 3 * s.T, rows, held)


LYAPUNOV = Probe(
    "lyapunov",
    "Lyapunov spectrum of the driven network, its Kaplan–Yorke dimension, and γ_Lyapunov",
    (
        Column("lyapunov_spectrum", "list<float64>", "1/lag", "λ_1 ≥ … ≥ λ_S, natural logarithms", _BENETTIN),
        Column(
            "gamma_lyapunov", "float64", "1/lag", "exp λ_1: growth of the most lasting direction", _BENETTIN
        ),
        Column(
            "kaplan_yorke", "float64", "", "Kaplan–Yorke dimension of the spectrum", "Kaplan & Yorke 1979"
        ),
        Column("lyapunov_first_step", "int64", "steps", "first step of the average, from 1"),
        Column("lyapunov_last_step", "int64", "steps", "last step of the average"),
    ),
    measure,
    cost=_cost,
)
