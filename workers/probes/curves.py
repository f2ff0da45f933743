"""Error terms and adjoints by lag, the bound or reference beside them, and what is read off the curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..activations import ln_logistic
from ..curves import BLOCK, Curve, curve, decay, first_below, last_above, mean_lag, rounding
from .base import Column, Probe, Sizes, Swept, Values, Work, grid

_LEVELS = {"half_life": 0.5, "horizon_10": 0.1, "horizon_1": 0.01}
_LN = "ln ratio to lag 0"
_BENGIO = "Bengio, Simard & Frasconi 1994"


def _level_columns(name: str, level: float) -> tuple[Column, ...]:
    share = f"{100 * level:g} %"
    return (
        Column(
            name, "float64", "lags", f"first lag at which the adjoint curve is below {share}; null if never"
        ),
        Column(f"{name}_censored", "bool", "", f"the adjoint curve is never below {share}"),
        Column(
            f"{name}_last",
            "float64",
            "lags",
            f"last lag at which it is at least {share}, plus one; null if the end",
        ),
        Column(
            f"{name}_last_censored", "bool", "", f"the adjoint curve is still at least {share} at its end"
        ),
    )


_SCALARS = (
    *(column for name, level in _LEVELS.items() for column in _level_columns(name, level)),
    Column(
        "mean_lag",
        "float64",
        "lags",
        "Σ ℓ e^{r(ℓ)} / Σ e^{r(ℓ)} over the adjoint curve's lags; null where it is dead at lag 0",
    ),
    Column("decay_rate", "float64", "1/lag", "least-squares slope of the adjoint curve; negative: vanishing"),
    Column("decay_r2", "float64", "", "share of the curve's variance that the straight line explains"),
    Column(
        "gamma_realised",
        "float64",
        "1/lag",
        "exp of the adjoint curve's mean slope after the first lags",
        "geometric mean of one-step ratios, without the first lags",
    ),
    Column("ln_ratio_end", "float64", "ln", "r(L) of the adjoint curve"),
    Column(
        "bound_gap",
        "float64",
        "ln",
        "L ln γ_nominal − r(L); null where γ^ℓ is no bound",
        "Pascanu, Mikolov & Bengio 2013",
    ),
)


def _quantile_columns(kind: str) -> tuple[Column, ...]:
    doc = f"{kind} curve: quantile over live columns and loss times"
    return tuple(Column(f"{kind}_{q}", "list<float64>", _LN, f"{doc}, {q}") for q in ("q05", "q50", "q95"))


_LISTS = (
    Column("lag", "list<int64>", "lags", "ℓ = t − k: all to 1,024, then 64 a decade"),
    Column("delta", "list<float64>", _LN, "error terms δ_{t,k} = ∂L_t/∂z_k", _BENGIO),
    *_quantile_columns("delta"),
    Column("adjoint", "list<float64>", _LN, "adjoints λ_{t,k} = ∂L_t/∂s_k", _BENGIO),
    *_quantile_columns("adjoint"),
    Column("bound", "list<float64>", _LN, "ℓ ln γ_nominal: a bound, or for gated cells a reference", _BENGIO),
    Column(
        "gate_product",
        "list<float64>",
        _LN,
        "mean ln of the product of forget (keep) gates; null without one",
    ),
)


def measure(swept: Swept) -> Values:
    """Every column of the probe for a stack."""
    times, ln_nominal = swept.stack.loss_times, np.log(swept.nominal)
    L = times[-1] - 1
    lags = grid(L)
    delta = curve(swept.backward.ln_delta, times, lags)
    adjoint = curve(swept.backward.ln_adjoint, times, lags)
    bound = np.where(lags > 0, lags * ln_nominal[:, None], 0.0)
    values = {
        "lag": np.broadcast_to(lags, bound.shape),
        **_lists("delta", delta, lags),
        **_lists("adjoint", adjoint, lags),
        "bound": bound,
    }
    if swept.stack.cell.keep_gate is not None:
        values["gate_product"] = _gate_product(swept)[:, lags]
    gap = bound[:, -1] - adjoint.mean[:, -1]
    theorem = "adjoint" in swept.stack.cell.bounded
    return {
        **_read_off(adjoint.mean, swept.stack.inputs.dtype),
        "bound_gap": gap if theorem else np.full_like(gap, np.nan),
        **values,
    }


def _lists(kind: str, one: Curve, lags: NDArray[np.int64]) -> dict[str, NDArray]:
    return {
        kind: one.mean[:, lags],
        **dict(zip((f"{kind}_q05", f"{kind}_q50", f"{kind}_q95"), one.quantiles, strict=True)),
    }


def _read_off(mean: NDArray[np.float64], dtype: np.dtype) -> dict[str, NDArray]:
    """Horizons, decay and end of an adjoint curve (P, L+1)."""
    values: dict[str, NDArray] = {}
    slack = rounding(mean.shape[-1], dtype)
    started = np.isfinite(mean[:, 0])  # a curve that is dead at lag 0 has no share to fall to
    for name, level in _LEVELS.items():
        for key, lag in (
            (name, first_below(mean, np.log(level), slack)),
            (f"{name}_last", last_above(mean, np.log(level), slack)),
        ):
            values[key] = np.where(started, lag, np.nan)
            values[f"{key}_censored"] = started & np.isnan(lag)
    fit = decay(mean)
    return values | {
        "mean_lag": mean_lag(mean),
        "decay_rate": fit.rate,
        "decay_r2": fit.r2,
        "gamma_realised": fit.realised,
        "ln_ratio_end": mean[:, -1],
    }


def _gate_product(swept: Swept) -> NDArray[np.float64]:
    """Mean over loss times, columns and units of Σ ln f_i, i from t − ℓ + 1 to t: (P, L+1)."""
    times, gate = swept.stack.loss_times, swept.stack.cell.keep_gate
    P, T, B, _ = swept.stack.inputs.shape
    sums = np.zeros((P, T + 1))
    for segment in swept.tape.segments():
        for k, net in enumerate(segment.net, segment.start):  # a long tape's gates would not fit beside it
            ln = ln_logistic(np.ascontiguousarray(net[gate])).astype(np.float64)
            sums[:, k + 1] = sums[:, k] + ln.reshape(P, -1).sum(axis=-1) / (B * net.shape[-1])
    t, lags = np.array(times)[:, None], np.arange(times[-1])
    reached = t - lags >= 1
    ratios = sums[:, t] - sums[:, np.maximum(t - lags, 0)]
    total = np.where(reached, ratios, 0.0)
    result = np.zeros((P, len(lags)))
    for r in range(len(times)):
        result += total[:, r]
    return result / reached.sum(axis=0)


def _cost(s: Sizes) -> Work:
    block = min(s.T * s.R * s.B, BLOCK + s.R * s.B)
    gates = 5 * s.B * s.N + s.T + 6 * s.R * s.T
    return Work(
        elements=s.T * (10.0 * s.R * s.B + 5.0 * s.R + 150),
        bytes=8.0 * (max(6 * block, gates) + 40 * s.T),
        kept=8.0 * 14 * min(s.T, 1024 + 256),
    )


CURVES = Probe(
    "curves",
    "error terms and adjoints by lag, the bound, horizons, decay rate and realised γ",
    (*_SCALARS, *_LISTS),
    measure,
    cost=_cost,
    of_adjoint=True,
)
