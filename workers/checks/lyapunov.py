"""Lyapunov spectra, paths and products of Jacobians against eigenvalues, determinants and singular values."""

from __future__ import annotations

import math

import numpy as np

from ..cells import CELLS
from ..measure import trace
from ..points import Point
from .base import Finding, absolute, arrays, relative, row, worst


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


def path_is_between() -> Finding:
    """λ_1 ≤ ln γ_path ≤ ln γ_nominal on one window, for the cells where γ^ℓ is a theorem; the value is the largest
    excess of one over the next."""
    excess = []
    for name, cell in CELLS.items():
        if "adjoint" in cell.bounded:
            found = row(Point(cell=name, length=240, hidden_size=12), probes=["lyapunov", "path"])
            ln = [math.log(found[f"gamma_{kind}"]) for kind in ("lyapunov", "path", "nominal")]
            excess += [ln[0] - ln[1], ln[1] - ln[2]]
    return Finding(max(excess), 0.0, max(0.0, *excess), 1e-12)


def path_by_svd() -> Finding:
    """γ_path of a tanh network: spectral norms of diag f'(z_t) U, f' = 1/cosh² of the trace's net inputs."""
    point = Point(weights="gaussian", gamma=2.0, hidden_size=10, length=300, batch_size=1)
    found, one = row(point, probes=["path", "lyapunov"]), trace(point)
    window = slice(found["lyapunov_first_step"] - 1, found["lyapunov_last_step"])
    steps = (1 / np.cosh(one.net_inputs[window, 0]) ** 2)[..., None] * one.parameters["U"]
    return relative(
        found["gamma_path"], float(np.exp(np.log(np.linalg.norm(steps, 2, axis=(-2, -1))).mean())), 1e-12
    )


def kaplan_yorke() -> Finding:
    """A linear network with eigenvalues 2, 1 and 1/4: ln 2 + 0 of the first two is half of ln 4, so the dimension
    is 2 + 1/2."""
    point = Point(activation="identity", hidden_size=3, length=300, input="zero", batch_size=1)
    own = {"U": np.diag([2.0, 1.0, 0.25]), "W": np.zeros((3, 4))}
    return absolute(row(point, parameters=own, probes=["lyapunov"])["kaplan_yorke"], 2.5, 1e-12)


def product_by_svd() -> Finding:
    """ln σ_i of the product of 8 Jacobians of a tanh network, formed as a product of matrices
    (which costs the smallest some digits)."""
    point = Point(gamma=1.3, hidden_size=6, length=9, batch_size=1, seed=4)
    found, one = row(point, probes=["jacobian"]), trace(point)
    product = np.eye(6)
    for k in range(2, 10):
        product = (1 / np.cosh(one.net_inputs[k - 1, 0]) ** 2)[:, None] * one.parameters["U"] @ product
    at = found["jacobian_lag"].index(8)
    wanted = np.log(np.linalg.svd(product, compute_uv=False))
    return arrays(found["jacobian_ln_singular"][6 * at : 6 * at + 6], wanted, 1e-10)
