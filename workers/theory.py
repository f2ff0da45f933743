"""Mean-field theory of the simple cell: what the measured numbers tend to for N → ∞.

U has entries of variance g²/N (or is g times an orthogonal matrix), ζ ~ N(0, 1), bias 0, and the input part
W x of the net input has variance σ_in². The variance Δ of the net input and the growth χ of the mean square of
the adjoint per step back are

    Δ = g² E[f(√Δ ζ)²] + σ_in²,    χ = g² E[f'(√Δ ζ)²]

(Sompolinsky, Crisanti & Sommers 1988; Molgedey, Schuchhardt & Schuster 1992; Poole et al. 2016; Schoenholz et al.
2017; Schuecker, Goedeke & Helias 2018). √χ is the mean-field γ, ½ ln χ the mean-field Lyapunov exponent. It is
the second moment of f that enters, not its variance: that of the logistic function has a mean in it. Not to be
confused with γ_nominal, a bound for every N. ``docs/theory.md`` says what the theory leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .errors import InvalidPoint, Unreachable, nearest
from .gaussian import SMALL, sech_power, series, tanh_square
from .points import Point
from .stack import draw_parameters

LARGEST = 1e100
"""Largest gain and input standard deviation that are computed; beyond it Δ is inf and χ is nan."""


@dataclass(frozen=True)
class MeanField:
    """Gain g and input standard deviation σ_in of a network, and what follows: ``variance`` Δ and ``chi`` χ.

    ``variance`` is 0 where the network falls silent, inf where it diverges, nan where every Δ is a fixed point.
    """

    gain: float
    input_sd: float
    variance: float
    chi: float

    @property
    def gamma(self) -> float:
        """√χ: growth per step of the adjoint's root mean square norm."""
        return math.sqrt(self.chi)

    @property
    def lyapunov(self) -> float:
        """½ ln χ: the largest Lyapunov exponent, per step; −inf for χ = 0."""
        return 0.5 * math.log(self.chi) if self.chi else -math.inf


def mean_field(
    point: Point, arrays: Mapping[str, ArrayLike] | None = None, inputs: ArrayLike | None = None
) -> MeanField:
    """Mean field of a point of the simple cell: g = ‖U‖_F/√N, σ_in² the mean square of W x + b.

    ``arrays``: own U (N, N), W (N, M), b (N), some or all; the others are drawn. ``inputs``: own x (T, B, M);
    the mean is then over steps, columns and units, else over the input law (zero for an impulse, after which
    the network is autonomous). Both are rounded to 12 digits, so that points which differ in rounding only
    are computed once. Raises InvalidPoint for another cell than the simple one.
    """
    if point.gamma_kind == "realised" and not {"U", "W", "b"} <= set(arrays or {}):
        raise InvalidPoint(
            "gamma_kind = 'realised': the gain is found by calibration; give arrays = trace(point).parameters"
        )
    if point.cell != "simple":
        raise InvalidPoint(
            f"cell = {point.cell!r}: the mean field is that of h = f(U h + W x + b); give cell = 'simple'"
        )
    given = dict(arrays or {})
    drawn = {} if {"U", "W", "b"} <= set(given) else draw_parameters(point)
    U, W, b = (np.asarray(given.get(name, drawn.get(name)), np.float64) for name in ("U", "W", "b"))
    N = point.hidden_size
    if inputs is not None:
        sd = _rms(np.matmul(np.asarray(inputs, np.float64), W.T) + b)
    else:
        driven = point.input in ("gaussian", "uniform")
        sd = math.hypot(point.input_scale * math.sqrt(W.shape[1]) * _rms(W) if driven else 0.0, _rms(b))
    gain, sd = _rounded(math.sqrt(N) * _rms(U)), _rounded(sd)
    return MeanField(gain, sd, *fixed_point(str(point.activation), gain, sd))


@lru_cache(maxsize=4096)
def fixed_point(activation: str, gain: float, input_sd: float) -> tuple[float, float]:
    """Δ and χ at the stable fixed point of the variance, to about 13 digits.

    ``gain`` g and ``input_sd`` σ_in from 0. Where Δ = 0 (no input and g too small) χ is the limit Δ → 0; for
    tanh without input and g > 1 the fixed point is the nonzero one. Δ is inf where the variance diverges (relu:
    g² ≥ 2, identity: g ≥ 1) and nan at g² = 2 or g = 1 without input, where every Δ is one. Raises InvalidPoint.
    """
    field = _field(activation)
    _check("gain", gain)
    _check("input_sd", input_sd)
    if max(gain, input_sd) > LARGEST:
        return math.inf, math.nan
    variance = field.variance(gain, input_sd**2)
    return variance, gain**2 * field.slope(variance)


@lru_cache(maxsize=4096)
def critical_input(activation: str, gain: float) -> float:
    """σ_in at which χ = 1 for gain g. Raises Unreachable where no σ_in does that, and InvalidPoint."""
    field = _field(activation)
    _check("gain", gain, math.sqrt(LARGEST))  # σ_in of tanh grows like 0.53 g²
    least = critical_gain(activation, 0.0)
    if isinstance(field, _Homogeneous):
        raise Unreachable(
            f"gain = {gain:g}: with {activation} χ is {gain**2 * field.share:.6g} for every input_sd in 0 … ∞: "
            f"the input turns nothing; the critical gain is {least:.6g}"
        )
    if gain < least:
        raise Unreachable(
            f"gain = {gain:g}: with {activation} χ falls from {fixed_point(activation, gain, 0.0)[1]:.6g} as "
            f"input_sd goes over 0 … ∞ and is nowhere 1; give a gain of at least {least:.6g}"
        )
    if gain == least:
        return 0.0
    variance = _root(lambda v: -field.excess(gain, v), field.below(gain))
    return math.sqrt(max(field.critical_drive(variance), 0.0))


@lru_cache(maxsize=4096)
def critical_gain(activation: str, input_sd: float) -> float:
    """g at which χ = 1 for input standard deviation σ_in; there is one for every σ_in. Raises InvalidPoint.

    For relu (√2) and identity (1) it is the same for all of them, and a driven network's variance diverges there.
    """
    field = _field(activation)
    _check("input_sd", input_sd, LARGEST)
    if isinstance(field, _Homogeneous):
        return 1 / math.sqrt(field.share)
    low = field.below_driven(input_sd)
    variance = _root(lambda v: field.critical_drive(v) - input_sd**2, low) if low else 0.0
    return 1 / math.sqrt(field.slope(variance))


class _Tanh:
    """Δ = g² E[tanh²] + σ²; near g = 1 all that is small is computed as itself, not as a difference."""

    def slope(self, v: float) -> float:
        """E[f'²] at net-input variance v."""
        return sech_power(4, v)

    def variance(self, gain: float, drive: float) -> float:
        """The fixed point: unique, for E[tanh²]/Δ falls with Δ. Without input Δ = 0 is left where g > 1."""
        square, over = gain**2, (gain - 1) * (gain + 1)

        def rise(v: float) -> float:
            if v < SMALL:
                return square * series(v)[0] - over - drive / v
            return 1 - (square * tanh_square(v) + drive) / v

        # 1 − E[tanh²]/v ≤ 2v, so the root of 2 g² v² − (g² − 1) v − σ² lies below
        root = math.hypot(over, math.sqrt(8 * drive) * gain)
        low = (over + root) / (4 * square) if over > 0 else 2 * drive / (root - over) if drive else 0.0
        return _root(rise, max(low, drive)) if low else 0.0

    def excess(self, gain: float, v: float) -> float:
        """χ − 1."""
        if v < SMALL:
            return (gain - 1) * (gain + 1) - gain**2 * series(v)[1]
        return gain**2 * self.slope(v) - 1

    def critical_drive(self, v: float) -> float:
        """σ_in² where Δ = v and χ = 1, that is g² = 1/E[f'²]."""
        slope = self.slope(v)
        return v * (series(v)[2] if v < SMALL else slope - tanh_square(v) / v) / slope

    def below(self, gain: float) -> float:
        """A variance below the critical one for gain g > 1, from E[1 − sech⁴] ≤ 2v."""
        return (gain - 1) * (gain + 1) / (2 * gain**2)

    def below_driven(self, sd: float) -> float:
        """A variance below the critical one for input sd: critical_drive(v) is below v, and 4/3 v³ + O(v⁴)."""
        return max(sd**2, 0.5 * sd ** (2 / 3) if sd < 0.1 else 0.0)


class _Logistic:
    """f(z) = ½ + ½ tanh(z/2): E[f²] = ¼ (1 + E[tanh²]) and E[f'²] = E[sech⁴]/16 at a quarter of the variance."""

    def slope(self, v: float) -> float:
        return sech_power(4, v / 4) / 16

    def variance(self, gain: float, drive: float) -> float:
        quarter = gain**2 / 4
        low = quarter + drive
        return _root(lambda v: 1 - (quarter * (1 + tanh_square(v / 4)) + drive) / v, low) if low else 0.0

    def excess(self, gain: float, v: float) -> float:
        return gain**2 * self.slope(v) - 1

    def critical_drive(self, v: float) -> float:
        return v - (1 + tanh_square(v / 4)) / (4 * self.slope(v))

    def below(self, gain: float) -> float:
        return 1.0  # Δ ≥ g²/4, and no critical g is below 4

    def below_driven(self, sd: float) -> float:
        return max(sd**2, 1.0)


@dataclass(frozen=True)
class _Homogeneous:
    """E[f²] = share · Δ and E[f'²] = share, as for relu (½) and identity (1): Δ = σ_in²/(1 − share · g²)."""

    share: float

    def slope(self, v: float) -> float:
        return self.share

    def variance(self, gain: float, drive: float) -> float:
        left = 1 - self.share * gain**2
        if left > 0:
            return drive / left
        return math.nan if left == 0 == drive else math.inf


_FIELDS: dict[str, _Tanh | _Logistic | _Homogeneous] = {
    "tanh": _Tanh(),
    "logistic": _Logistic(),
    "relu": _Homogeneous(0.5),
    "identity": _Homogeneous(1.0),
}


def _field(activation: str) -> _Tanh | _Logistic | _Homogeneous:
    if activation not in _FIELDS:
        raise InvalidPoint(f"activation = {activation!r} has no mean field: {nearest(activation, _FIELDS)}")
    return _FIELDS[activation]


def _check(name: str, value: float, largest: float = math.inf) -> None:
    if not 0 <= value <= largest:
        raise InvalidPoint(f"{name} = {value!r} is out of range: give a number from 0 to {largest:g}")


def _root(rising: Callable[[float], float], low: float) -> float:
    """The v ≥ low at which a rising function is zero, sought in ln(v/low) so that no small v loses digits."""
    from scipy.optimize import brentq

    def at(x: float) -> float:
        return rising(low * math.exp(x))

    left, right = 0.0, 0.5
    if at(left) >= 0:
        return low
    while at(right) < 0:
        left, right = right, 2 * right
    x: Any = brentq(at, left, right, xtol=1e-15, rtol=np.float64(1e-15))
    return low * math.exp(x)


def _rms(array: np.ndarray) -> float:
    """Root mean square of all entries, whatever their size."""
    flat = np.ascontiguousarray(array).ravel()
    peak = float(np.abs(flat).max(initial=0.0))
    return peak * math.sqrt(float(np.square(flat / peak).mean())) if peak else 0.0


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")
