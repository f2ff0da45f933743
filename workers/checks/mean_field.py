"""Wide random networks against mean-field theory: its integrals by adaptive quadrature, here, in a few lines.

A unit's net input is N(0, q) with q = g² E f(√q z)² + s² (s the sd of the input's share); a perturbation's mean
square grows by χ = g² E f'(√q z)² a step (Poole et al. 2016), so λ_1 = ½ ln χ (Molgedey, Schuchhardt & Schuster
1992). Finite N is off by O(1/N) and by the chance of one matrix: at N ≤ 200 it is useless.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..measure import trace
from ..points import Point
from .base import Finding, absolute, worst


def gaussian_mean(f: Callable[[float], float]) -> float:
    """E f(z) over N(0, 1), by adaptive quadrature."""
    from scipy.integrate import quad

    value, _ = quad(lambda z: f(z) * math.exp(-z * z / 2), -12, 12, limit=400, epsabs=1e-13, epsrel=1e-12)
    return value / math.sqrt(2 * math.pi)


def tanh_fixed_point(g: float, s: float) -> float:
    """q of a tanh network, the largest root, from above."""
    from scipy.optimize import brentq

    def excess(q: float) -> float:
        return g * g * gaussian_mean(lambda z: math.tanh(math.sqrt(q) * z) ** 2) + s * s - q

    return float(brentq(excess, 1e-3, g * g + s * s + 1, xtol=1e-13))  # type: ignore[arg-type]


def tanh_chi(g: float, s: float) -> float:
    """χ = g² E sech⁴(√q z)."""
    q = tanh_fixed_point(g, s)
    return g * g * gaussian_mean(lambda z: math.cosh(math.sqrt(q) * z) ** -4)


def autonomous_chaos() -> Finding:
    """h ← U tanh h, started by one input: λ_1 = ½ ln χ, .065217 at g = 1.5 and .310249 at g = 3. N = 400, mean of 3
    seeds; ‖λ_{T,k}‖ grows by e^{λ_1} a step on average, measured over 1,500 steps on the attractor."""
    return worst(
        absolute(
            float(np.mean([_exponent(g, seed, "impulse", 4, 1.0) for seed in range(3)])),
            0.5 * math.log(tanh_chi(g, 0.0)),
            0.015,
        )
        for g in (1.5, 3.0)
    )


def driven() -> Finding:
    """The same network driven by inputs of sd .5 (M = 400, so that every unit has its share): g = 1.5 is below
    chaos, λ_1 = −.0167."""
    found = np.mean([_exponent(1.5, seed, "gaussian", 400, 0.5) for seed in range(3)])
    return absolute(float(found), 0.5 * math.log(tanh_chi(1.5, 0.5)), 0.01)


def _exponent(g: float, seed: int, law: str, M: int, scale: float) -> float:
    """λ_1 of one tanh network, Gaussian U: mean growth of the adjoint over the 1,500 steps in the middle."""
    T, cut = 1900, 200
    point = Point(
        weights="gaussian",
        gamma_kind="gain",
        gamma=g,
        hidden_size=400,
        input_size=M,
        batch_size=1,
        length=T,
        input=law,
        input_scale=scale,
        seed=seed,
    )
    ln = trace(point).ln_adjoint_norms[0, :, 0]
    return float((ln[cut] - ln[T - cut]) / (T - 2 * cut))
