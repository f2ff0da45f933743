"""The nonlinearities: value and derivative, both from the net input z.

Derivatives never come from the value: ``1 − tanh²`` has lost half its digits at |z| = 10 and all of them at 19.
With e = exp(−2|z|), tanh'(z) = 4e/(1+e)²; with e = exp(−|z|), logistic'(z) = e/(1+e)². Where even the
exponential leaves the range, ``factor`` puts a power of two per row aside, so no logarithm is lost.

Every transcendental function is called on contiguous arrays only: NumPy takes another code path, with other
last bits, where strides differ, and then a point's numbers would depend on its company.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
_LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class Activation:
    """A nonlinearity f. ``slope`` is γ_f = sup f', ``ln_derivative`` the natural logarithm of f'(z)."""

    name: str
    slope: float
    value: Callable[..., Array]
    derivative: Callable[[Array], Array]
    ln_derivative: Callable[[Array], Array]

    def factor(self, z: Array) -> tuple[Array, NDArray[np.int64] | None]:
        """f'(z) as (D, shift) with f' = D · 2^shift; ``shift`` is per row (all axes but the last) or None.

        A row is shifted only where all of its derivatives are so small that a product with them would
        underflow (below 2^−500 in float64, 2^−60 in float32), as in a saturated network.
        """
        D = self.derivative(z)
        tiny = np.asarray(2.0 ** (-60 if D.dtype == np.float32 else -500), D.dtype)
        low = D.max(axis=-1) < tiny
        if not low.any():
            return D, None
        ln = self.ln_derivative(z[low].astype(np.float64))
        peak = ln.max(axis=-1)
        steps = np.where(np.isfinite(peak), np.floor(peak / _LN2), 0.0)
        steps = np.maximum(steps, -(2.0**60))  # below it the row counts as zero
        D[low] = np.exp(ln - (steps * _LN2)[..., None]).astype(D.dtype)
        shift = np.zeros(low.shape, np.int64)
        shift[low] = steps.astype(np.int64)
        return D, shift


def logistic(z: Array, out: Array | None = None) -> Array:
    """1/(1+exp(−z)): accurate to the last digits also for very negative z, unlike the form with tanh."""
    out = np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def logistic_pair(z: Array) -> tuple[Array, Array]:
    """logistic(z) and logistic'(z) from the one exponential exp(−|z|)."""
    e = np.abs(z)
    np.negative(e, out=e)
    np.exp(e, out=e)
    inverse = np.reciprocal(e + 1)
    np.multiply(e, inverse, out=e)
    return np.where(z >= 0, inverse, e), e * inverse


def tanh_derivative(z: Array) -> Array:
    """1/cosh² z, to full relative accuracy for every z whose result is in range."""
    e = np.abs(z)
    e *= -2
    np.exp(e, out=e)
    d = e + 1
    d *= d
    e *= 4
    return np.divide(e, d, out=e)


def tanh_ln_derivative(z: Array) -> Array:
    """ln tanh'(z) = ln 4 − 2|z| − 2 ln(1 + exp(−2|z|)), in range for every finite z."""
    twice = 2 * np.abs(z)
    return np.log(4.0).astype(z.dtype) - twice - 2 * np.log1p(np.exp(-twice))


def logistic_ln_derivative(z: Array) -> Array:
    """ln logistic'(z) = −|z| − 2 ln(1 + exp(−|z|)), in range for every finite z."""
    size = np.abs(z)
    return -size - 2 * np.log1p(np.exp(-size))


def ln_logistic(z: Array) -> Array:
    """ln logistic(z) = min(z, 0) − ln(1 + exp(−|z|)), in range for every finite z."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def _relu(z: Array, out: Array | None = None) -> Array:
    return np.maximum(z, 0, out=out)


def _identity(z: Array, out: Array | None = None) -> Array:
    return np.positive(z, out=out)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation("tanh", 1.0, np.tanh, tanh_derivative, tanh_ln_derivative),
    "logistic": Activation("logistic", 0.25, logistic, lambda z: logistic_pair(z)[1], logistic_ln_derivative),
    # at the kink z = 0 the derivative is 0, as in every common framework
    "relu": Activation(
        "relu",
        1.0,
        _relu,
        lambda z: (z > 0).astype(z.dtype),
        lambda z: np.where(z > 0, 0.0, -np.inf).astype(z.dtype),
    ),
    "identity": Activation("identity", 1.0, _identity, np.ones_like, np.zeros_like),
}
