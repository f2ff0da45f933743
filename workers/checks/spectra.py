"""Spectra: ensembles of recurrent blocks, and growth rates against eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measure import measure, trace
from ..points import Point
from .base import Finding, absolute, worst


def ginibre_radius() -> Finding:
    """ρ(gG/√N) → g. At N = 256 it is 1.036 ± .021 (plain NumPy, 1,000 matrices); the mean of 8 seeds, 3 sd."""
    radii = np.abs(_eigenvalues()).max(axis=-1)
    return absolute(float(np.mean(radii)), 1.036, 3 * 0.021 / math.sqrt(8))


def circular_law() -> Finding:
    """The eigenvalues fill the disc of radius g evenly, so |λ|²/g² is uniform: mean 1/2 (Ginibre 1965: for complex
    entries exactly (N + 1)/2N). 8 matrices of N = 256."""
    return absolute(float(np.mean(np.abs(_eigenvalues()) ** 2)), 0.5, 0.02)


def ginibre_norm() -> Finding:
    """σ_1(gG/√N) → 2g; at N = 256 the Tracy–Widom law of real matrices (mean −1.2065, sd 1.268) gives its mean and
    sd (Johnstone 2001). γ_nominal of a linear network is σ_1; the mean of 8 seeds, 3 sd."""
    N = 256
    edge = (math.sqrt(N - 1) + math.sqrt(N)) ** 2
    width = (math.sqrt(N - 1) + math.sqrt(N)) * (1 / math.sqrt(N - 1) + 1 / math.sqrt(N)) ** (1 / 3)
    expected = math.sqrt((edge - 1.2065 * width) / N)
    spread = 1.268 * width / N / (2 * expected)
    points = [
        Point(weights="gaussian", gamma_kind="gain", hidden_size=N, length=2, batch_size=1, seed=seed)
        for seed in range(8)
    ]
    norms = measure(points, probes=["gradients"]).column("gamma_nominal").to_numpy()
    return absolute(float(np.mean(norms)), expected, 3 * spread / math.sqrt(8))


def orthogonal_blocks() -> Finding:
    """Orthogonal blocks are orthogonal: the largest entry of UᵀU − I."""
    U = trace(Point(hidden_size=64, length=2)).parameters["U"]
    return absolute(float(np.abs(U.T @ U - np.eye(64)).max()), 0.0, 1e-14)


def leaky_ring() -> Finding:
    """(1 − a)I + aU at h = 0. The ring's eigenvalues are g·e^{iφ}, g among them, so ρ = 1 − a + a·g exactly; the
    matrix is normal, and far lags grow by ρ a step."""
    leak, gain = 0.4, 1.2
    point = Point(
        cell="residual",
        weights="ring",
        gamma_kind="gain",
        gamma=gain,
        leak=leak,
        input="zero",
        hidden_size=5,
        length=400,
    )
    return absolute(_growth(point, 100), 1 - leak + leak * gain, 1e-12)


def leaky_gaussian() -> Finding:
    """The same for U = gG/√N, whose eigenvalues fill a disc of radius g: 1 − a + a·g. At N = 256 the rightmost one
    is some 4 % inside the disc, which a = .1 makes .005; mean of 4 seeds."""
    leak, gain = 0.1, 1.2
    rates = [
        _growth(
            Point(
                cell="residual",
                weights="gaussian",
                gamma_kind="gain",
                gamma=gain,
                leak=leak,
                input="zero",
                hidden_size=256,
                length=600,
                batch_size=1,
                seed=seed,
            ),
            300,
        )
        for seed in range(4)
    ]
    return absolute(float(np.mean(rates)), 1 - leak + leak * gain, 0.01)


def gaussian_growth() -> Finding:
    """Far lags of a linear Gaussian network grow by the spectral radius of its U: eigenvalues by linear algebra. A
    complex pair turns as it grows; over 4,000 steps that is below 1e−3."""
    findings = []
    for seed in range(2):
        point = Point(
            activation="identity",
            weights="gaussian",
            gamma_kind="gain",
            input="zero",
            hidden_size=24,
            length=4_500,
            batch_size=1,
            seed=seed,
        )
        one = trace(point)
        radius = np.abs(np.linalg.eigvals(one.parameters["U"])).max()
        rate = (one.ln_norms[0, 0, 0] - one.ln_norms[0, 4_000, 0]) / 4_000
        findings.append(absolute(float(rate), float(np.log(radius)), 1e-3))
    return worst(findings)


def _eigenvalues() -> NDArray[Any]:
    """Of U of 8 networks of 256 units with gain one, (8, 256)."""
    points = [
        Point(
            weights="gaussian",
            gamma_kind="gain",
            gamma=1.0,
            hidden_size=256,
            length=2,
            batch_size=1,
            seed=seed,
        )
        for seed in range(8)
    ]
    return np.array([np.linalg.eigvals(trace(point).parameters["U"]) for point in points])


def _growth(point: Point, steps: int) -> float:
    """exp of the mean growth a step of ‖λ_{T,k}‖ over the ``steps`` farthest lags, first column."""
    ln = trace(point).ln_adjoint_norms[0, :, 0]
    return math.exp((ln[0] - ln[steps]) / steps)
