"""The nonlinearities: value and derivative, both from the net input z.

Derivatives never come from the value: ``1 − tanh²`` has lost half its digits at |z| = 10 and all of them at 19.
tanh'(z) is 1/cosh²(z); or one exponential gives both: with E = exp(−2z) tanh z = (1−E)/(1+E) and tanh'(z) =
4E/(1+E)²; with E = exp(−z) logistic(z) = 1/(1+E) and logistic'(z) = E/(1+E)². Where even the exponential leaves the
range, ``factor`` puts a power of two per row aside, so no logarithm is lost.

Every transcendental function is called on contiguous arrays only: NumPy takes another code path, with other
last bits, where strides differ, and then a point's numbers would depend on its company.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.introspect import opt_func_info
from numpy.typing import NDArray

Array = NDArray[np.floating]
_LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class Activation:
    """A nonlinearity f. ``slope`` is γ_f = sup f', ``ln_derivative`` the natural logarithm of f'(z)."""

    name: str
    slope: float
    value: Callable[..., Array]
    both: Callable[[Array, Array, Array], None]
    """f(z) and f'(z) at once, written into the second and the third array."""
    ln_derivative: Callable[[Array], Array]

    def derivative(self, z: Array) -> Array:
        """f'(z), to full relative accuracy."""
        D = np.empty_like(z)
        self.both(z, np.empty_like(z), D)
        return D

    def factor(self, z: Array, D: Array | None = None) -> tuple[Array, NDArray[np.int64] | None]:
        """f'(z) as (D, shift) with f' = D · 2^shift; ``shift`` is per row (all axes but the last) or None.

        ``D`` is f'(z) where it is there already. A row is shifted only where all of its derivatives are so small
        that a product with them would underflow (below 2^−500 in float64, 2^−60 in float32), as in a saturated
        network.
        """
        D = self.derivative(z) if D is None else D
        tiny = np.asarray(2.0 ** (-60 if D.dtype == np.float32 else -500), D.dtype)
        if not D.size or np.minimum.reduce(D, axis=None) >= tiny:
            return D, None
        low = D.max(axis=-1) < tiny
        if not low.any():
            return D, None
        D = D.copy()
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


def logistic_both(z: Array, value: Array, slope: Array) -> None:
    """logistic(z) and logistic'(z) from the one exponential E = exp(−z): f = 1/(1+E), f' = f · (E·f)."""
    E = np.negative(z, out=slope)
    far = _leaves(E)
    if far:
        np.minimum(E, _FAR[z.dtype.char], out=E)
    np.exp(E, out=E)
    np.add(E, 1, out=value)
    np.reciprocal(value, out=value)
    if far:
        np.copyto(value, 0, where=z < -_FAR[z.dtype.char])
    E *= value
    E *= value


def tanh_both(z: Array, value: Array, slope: Array) -> None:
    """tanh z and tanh' z = 1/cosh² z where NumPy's own are vectorised: neither cancels anywhere, and where cosh²
    leaves the range tanh' does so too. In single precision it is 1/(1 + sinh² z), to 2 rounding errors and not 4.

    Elsewhere tanh' z = E·s², E = exp(−2z), s = 2/(1+E). In double precision the value comes from the same
    exponential: it is (1−E)/(1+E), and below |z| = 1/8, where that would cancel, Lambert's continued fraction
    z/(1 + z²/(3 + z²/(5 + z²/(7 + z²/9)))), to the last digit there.
    """
    if _VECTORISED:
        np.tanh(z, out=value)
        if z.dtype == np.float32:
            np.sinh(z, out=slope)
            slope *= slope
            slope += 1
        else:
            np.cosh(z, out=slope)
            slope *= slope
        np.reciprocal(slope, out=slope)
        return
    E, own = np.multiply(z, -2, out=slope), z.dtype == np.float32
    far = _leaves(E)
    if far:
        np.minimum(E, _FAR[z.dtype.char], out=E)
    np.exp(E, out=E)
    s = np.add(E, 1, out=value if own else None)
    if own:
        np.divide(2, s, out=s)
    else:
        np.subtract(1, E, out=value)
        value /= s
        _near_zero(z, value)
        np.divide(2, s, out=s)
    E *= s
    E *= s
    if own:
        np.tanh(z, out=value)
    if far:
        np.copyto(E, 4 * np.exp(-2 * np.abs(z)), where=z < -_FAR[z.dtype.char] / 2)


def _leaves(exponent: Array) -> bool:
    """Whether an exponential may leave the range, or its argument is NaN."""
    return not np.maximum.reduce(exponent, axis=None) < _FAR[exponent.dtype.char]


def _near_zero(z: Array, value: Array) -> None:
    """Put tanh z where |z| < 1/8."""
    square = z * z
    x = square / 9
    x += 7
    for odd in (5, 3, 1):
        np.divide(square, x, out=x)
        x += odd
    np.divide(z, x, out=x)
    np.copyto(value, x, where=square < 1 / 64)


def complement(z: Array, value: Array, slope: Array, out: Array) -> None:
    """1 − logistic(z) without cancellation, from both: logistic' / logistic."""
    np.divide(slope, value, out=out)
    if _leaves(-z):
        np.copyto(out, 1, where=z < -_FAR[z.dtype.char])


def _vectorised() -> bool:
    """Whether this machine's hyperbolic functions are vectorised, in both types."""
    found = opt_func_info(func_name="^(tanh|cosh|sinh)$")
    targets = [
        found.get(name, {}).get(types, {}).get("current", "")
        for name, types in (("tanh", "dd"), ("cosh", "dd"), ("tanh", "ff"), ("sinh", "ff"))
    ]
    return all("AVX512" in target or "X86_V4" in target for target in targets)


_VECTORISED = _vectorised()
_FAR = {"f": 87.0, "d": 708.0}
"""By the dtype's letter: exp of it and of its negative are in range."""


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


def _relu_both(z: Array, value: Array, slope: Array) -> None:
    np.maximum(z, 0, out=value)
    np.greater(z, 0, out=slope)  # at the kink z = 0 the derivative is 0, as in every common framework


def _identity(z: Array, out: Array | None = None) -> Array:
    return np.positive(z, out=out)


def _identity_both(z: Array, value: Array, slope: Array) -> None:
    np.copyto(value, z)
    slope.fill(1)


def _relu_ln_derivative(z: Array) -> Array:
    return np.where(z > 0, 0.0, -np.inf).astype(z.dtype)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation("tanh", 1.0, np.tanh, tanh_both, tanh_ln_derivative),
    "logistic": Activation("logistic", 0.25, logistic, logistic_both, logistic_ln_derivative),
    "relu": Activation("relu", 1.0, _relu, _relu_both, _relu_ln_derivative),
    "identity": Activation("identity", 1.0, _identity, _identity_both, np.zeros_like),
}
