"""Wide random networks against mean-field theory: its integrals by adaptive quadrature, here, in a few lines.

A unit's net input is N(0, q) with q = g² E f(√q z)² + s² (s the sd of the input's share); a perturbation's mean
square grows by χ = g² E f'(√q z)² a step (Poole et al. 2016), so λ_1 = ½ ln χ (Molgedey, Schuchhardt & Schuster
1992). Finite N is off by O(1/N) and by the chance of one matrix: at N ≤ 200 it is useless.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import theory
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


def critical_input() -> Finding:
    """The input's sd at which χ = 1 for tanh and g = 1.5: .43144, the root by the integrals here."""
    from scipy.optimize import brentq

    expected = float(brentq(lambda s: tanh_chi(1.5, s) - 1, 0.1, 1.0, xtol=1e-12))  # type: ignore[arg-type]
    return absolute(theory.critical_input("tanh", 1.5), expected, 1e-9)


def critical_relu() -> Finding:
    """A ReLU passes half of the mean square, forwards and backwards: χ = g²/2, and critical is g² = 2."""
    return absolute(theory.critical_gain("relu", 0.0) ** 2, 2.0, 1e-14)


def critical_logistic() -> Finding:
    """Logistic units without bias and input: χ = g² E σ'² = 1 with q = g² E σ², at g = 10.149; the bound says
    nothing below g = 2 (σ_1 → 2g, γ_f = 1/4)."""
    from scipy.optimize import brentq

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))

    def gain(q: float) -> float:
        return math.sqrt(q / gaussian_mean(lambda z: sigma(math.sqrt(q) * z) ** 2))

    def excess(q: float) -> float:
        slope = gaussian_mean(lambda z: (sigma(math.sqrt(q) * z) * sigma(-math.sqrt(q) * z)) ** 2)
        return gain(q) ** 2 * slope - 1

    q = float(brentq(excess, 1.0, 200.0, xtol=1e-12))  # type: ignore[arg-type]
    return absolute(theory.critical_gain("logistic", 0.0), gain(q), 1e-9)


def fixed_points() -> Finding:
    """Variance and ½ ln χ of tanh networks, silent, chaotic and driven, against the integrals here."""
    findings = []
    for g, s in ((1.5, 0.0), (3.0, 0.0), (1.5, 0.5), (0.8, 1.0)):
        q, chi = theory.fixed_point("tanh", g, s)
        findings += [absolute(q, tanh_fixed_point(g, s), 1e-9), absolute(chi, tanh_chi(g, s), 1e-9)]
    return worst(findings)


def autonomous_chaos() -> Finding:
    """h ← U tanh h, started by one input: λ_1 = ½ ln χ, .065217 at g = 1.5 and .310249 at g = 3. N = 400, mean of 3
    seeds; ‖λ_{T,k}‖ grows by e^{λ_1} a step on average, measured over 1,500 steps on the attractor."""
    return worst(absolute(*_autonomous(g, 400, 1900), 0.015) for g in (1.5, 3.0))


def large_autonomous() -> Finding:
    """The same at N = 1,600, over 2,600 steps: a third of the distance is left."""
    return worst(absolute(*_autonomous(g, 1600, 3000), 0.005) for g in (1.5, 3.0))


def driven() -> Finding:
    """The same network driven by inputs of sd .5 (M = 400, so that every unit has its share): g = 1.5 is below
    chaos, λ_1 = −.0167."""
    return absolute(*_driven(400, 1900), 0.01)


def large_driven() -> Finding:
    """The same at N = 1,600, over 2,600 steps."""
    return absolute(*_driven(1600, 3000), 0.003)


def _autonomous(g: float, N: int, T: int) -> tuple[float, float]:
    """λ_1, mean of 3 seeds, and ½ ln χ."""
    found = [_exponent(g, seed, "impulse", 4, 1.0, N, T) for seed in range(3)]
    return float(np.mean(found)), 0.5 * math.log(tanh_chi(g, 0.0))


def _driven(N: int, T: int) -> tuple[float, float]:
    """The same of a network with g = 1.5 and inputs of sd .5."""
    found = [_exponent(1.5, seed, "gaussian", 400, 0.5, N, T) for seed in range(3)]
    return float(np.mean(found)), 0.5 * math.log(tanh_chi(1.5, 0.5))


def _exponent(g: float, seed: int, law: str, M: int, scale: float, N: int, T: int) -> float:
    """λ_1 of one tanh network, Gaussian U: mean growth of the adjoint over all steps but 200 at either end."""
    cut = 200
    point = Point(
        weights="gaussian",
        gamma_kind="gain",
        gamma=g,
        hidden_size=N,
        input_size=M,
        batch_size=1,
        length=T,
        input=law,
        input_scale=scale,
        seed=seed,
    )
    ln = trace(point).ln_adjoint_norms[0, :, 0]
    return float((ln[cut] - ln[T - cut]) / (T - 2 * cut))
