"""Lyapunov spectra against eigenvalues and determinants."""

from __future__ import annotations

import numpy as np

from ..measure import trace
from ..points import Point
from .base import Finding, arrays, relative, row, worst


def orthogonal() -> Finding:
    """U = γQ, linear: every exponent is ln γ."""
    findings = []
    for gamma in (0.8, 1.25):
        point = Point(
            activation="identity", gamma=gamma, hidden_size=12, length=300, input="zero", batch_size=1
        )
        found = np.array(row(point, probes=["lyapunov"])["lyapunov_spectrum"])
        apart = np.abs(found - np.log(gamma))
        findings.append(Finding(float(found[0]), float(np.log(gamma)), float(apart.max()), 1e-12))
    return worst(findings)


def eigenvalues() -> Finding:
    """A linear Gaussian network: the exponents are ln|eigenvalue| in order, as n grows; 3/n after n steps."""
    point = Point(
        activation="identity",
        weights="gaussian",
        gamma_kind="gain",
        hidden_size=8,
        length=6000,
        input="zero",
        batch_size=1,
    )
    found = row(point, probes=["lyapunov"])
    n = found["lyapunov_last_step"] - found["lyapunov_first_step"] + 1
    wanted = np.sort(np.log(np.abs(np.linalg.eigvals(trace(point).parameters["U"]))))[::-1]
    apart = np.abs(np.array(found["lyapunov_spectrum"]) - wanted)
    at = int(apart.argmax())
    return Finding(float(found["lyapunov_spectrum"][at]), float(wanted[at]), float(apart[at]), 3 / n)


def sum_is_the_determinant() -> Finding:
    """Σ λ_i = ln|det U| + the mean over the window of Σ ln f'(z): volumes, whatever the directions. ln f' from
    −2 ln cosh z of the trace's net inputs."""
    findings = []
    for seed in range(3):
        point = Point(weights="gaussian", gamma=2.0, hidden_size=10, length=300, batch_size=1, seed=seed)
        found, one = row(point, probes=["lyapunov"]), trace(point)
        window = slice(found["lyapunov_first_step"] - 1, found["lyapunov_last_step"])
        slopes = -2 * np.log(np.cosh(one.net_inputs[window, 0])).sum(axis=-1)
        wanted = np.linalg.slogdet(one.parameters["U"])[1] + slopes.mean()
        findings.append(relative(float(np.sum(found["lyapunov_spectrum"])), float(wanted), 1e-11))
    return worst(findings)


def largest_is_gamma() -> Finding:
    """γ_lyapunov is exp of the largest exponent, and of no other."""
    found = row(Point(hidden_size=10, length=200), probes=["lyapunov"])
    return arrays([np.log(found["gamma_lyapunov"])], [max(found["lyapunov_spectrum"])], 1e-14)
