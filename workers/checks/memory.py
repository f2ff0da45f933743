"""How long a state remembers: the memory cell's read-out, which closes with time, and the one-unit latch."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from ..measure import trace
from ..points import Point
from .base import Finding, absolute, one_unit, relative, row, worst


def normal_steps() -> Finding:
    """N(0, 1) steps make c_t ~ N(0, t), and ∫ sech² = 2 makes E[1 − tanh² c_t] → √(2/(πt)): .0798 and .0252 at
    t = 100 and 1,000. The batch is 4,001 equal slices of the law of c_t, each at its median."""
    B = 4001
    quantiles = np.array([NormalDist().inv_cdf((j + 0.5) / B) for j in range(B)])
    findings = []
    for t in (100, 1000):
        point, own = one_unit(
            {"W": 1.0, "V": 1.0, "a": 1.0},
            cell="memory",
            activation="identity",
            gamma=1.0,
            length=t,
            batch_size=B,
        )
        x = np.broadcast_to(quantiles / math.sqrt(t), (t, B))[..., None]
        found = row(point, parameters=own, inputs=x, probes=["saturation"])["saturation_curve"][-1]
        findings.append(relative(found, math.sqrt(2 / (math.pi * t)), 0.01))
    return worst(findings)


def logistic_steps() -> Finding:
    """Logistic steps never go back: mean ln(1 − tanh² c_t) = ln 4 − t for x ~ N(0, 1), since σ(x) + σ(−x) = 1 makes
    the mean of c_t exactly t/2 over pairs of opposite inputs. t = 1,000, where sech² is 1e−434."""
    T = 1000
    half = np.random.default_rng(17).standard_normal((T, 50, 1))
    point, own = one_unit(
        {"W": 1.0, "V": 1.0, "a": 1.0}, cell="memory", activation="logistic", length=T, batch_size=100
    )
    found = row(point, parameters=own, inputs=np.concatenate([half, -half], axis=1), probes=["saturation"])
    return relative(found["ln_saturation_curve"][-1], math.log(4) - T, 5e-3)


def read_out_closes_with_time() -> Finding:
    """Yet on the path of c nothing is lost: ln‖λ_{T,k}‖ of the memory cell is the same for every k, however closed
    the read-out is."""
    one = trace(Point(cell="memory", activation="logistic", gamma=1.0, length=500))
    return absolute(float(np.ptp(one.ln_adjoint_norms[0], axis=0).max()), 0.0, 0.0)


def latch() -> Finding:
    """x = tanh(wx + h) keeps one bit iff |h| < w x* − atanh x*, x* = √(1 − 1/w): there the two branches meet. The
    unit is pushed up by its first input, then held at h; the largest −h at which it still stands after T steps, by
    finer and finer grids. Passing a gap of size ε takes π/√(.577 ε) steps at w = 1.5: 4,100 for 1e−6."""
    w = 1.5
    x = math.sqrt(1 - 1 / w)
    return absolute(_threshold(w), w * x - math.atanh(x), 1e-6)


def _threshold(w: float) -> float:
    B = 400
    low, high, stands = 0.0, w, 0.0
    for T in (600, 3000, 6000):  # what stands after few steps may fall later: the grid begins one place below
        point, own = one_unit({"U": w, "W": 1.0, "V": 1.0}, length=T, batch_size=B)
        held = np.linspace(low, high, B)
        inputs = np.broadcast_to(-held, (T, B))[..., None].copy()
        inputs[0] = 5.0
        last = int(np.flatnonzero(trace(point, parameters=own, inputs=inputs).states[-1, :, 0] > 0)[-1])
        low, stands, high = float(held[last - 1]), float(held[last]), float(held[last + 1])
    return stands
