"""Error terms of networks whose product of Jacobians has a closed form, and the bound where it is a theorem."""

from __future__ import annotations

import math

import numpy as np

from ..cells import CELLS
from ..measure import trace
from ..points import Point
from .base import Finding, absolute, arrays, error_terms, lags, one_unit, row, straight, worst


def orthogonal() -> Finding:
    """U = γQ and f' = 1: every step multiplies the norm by γ exactly, down to 1e−5,228 and up to 1e+1,760."""
    T = 10_000
    return worst(
        straight(
            Point(activation="identity", gamma=gamma, length=T, hidden_size=8, batch_size=1, input="zero"),
            math.log(gamma),
            1e-14,
        )
        for gamma in (0.3, 1.5)
    )


def loop_is_constant() -> Finding:
    """U = I and f' = 1, as a loop of weight one and as a simple network: no bit of δ_{t,k} changes with k."""
    changed, value = 0, 0.0
    for point in (
        Point(cell="linear", gamma=1.0, length=512, loss_times="8"),
        Point(activation="identity", weights="identity", gamma=1.0, length=512, loss_times="8"),
    ):
        one = trace(point)
        for r, t in enumerate(one.loss_times):
            terms, norms = one.error_terms[r, :t], one.ln_norms[r, :t]
            changed += int((terms != terms[-1]).sum() + (norms != norms[-1]).sum())
            value = max(value, float(np.abs(norms - norms[-1]).max()))
    return Finding(value, 0.0, float(changed), 0.0)


def loop_decays() -> Finding:
    """Half-life, a tenth and a hundredth of the loop of weight a: ln(share)/ln a."""
    a = 0.99
    found = row(Point(cell="linear", gamma=a, length=600))
    levels = {"half_life": 0.5, "horizon_10": 0.1, "horizon_1": 0.01}
    return worst(absolute(found[name], math.log(level) / math.log(a), 1e-9) for name, level in levels.items())


def diagonal_weights() -> Finding:
    """U = diag λ: unit i decays as λ_i^ℓ by itself."""
    decays, T = np.linspace(0.2, 1.1, 7), 60
    one = trace(
        Point(activation="identity", length=T, hidden_size=7, output_size=7, batch_size=1),
        parameters={"U": np.diag(decays)},
    )
    terms, behind = error_terms(one)[0, :, 0], lags(T)[:, None]
    wanted = terms[-1] * decays**behind
    apart = np.abs(terms / wanted - 1) / np.maximum(behind, 1)
    return Finding(float(terms[0, 0]), float(wanted[0, 0]), float(apart.max()), 1e-13)


def jordan_block() -> Finding:
    """U = [[λ, 1], [0, λ]] is not normal: (Uᵀ)^ℓ = λ^ℓ [[1, 0], [ℓ/λ, 1]] rises before it falls."""
    decay, T = 0.9, 200
    one = trace(
        Point(activation="identity", length=T, hidden_size=2, batch_size=1),
        parameters={"U": [[decay, 1.0], [0.0, decay]]},
    )
    terms, behind = error_terms(one)[0, :, 0], lags(T)
    first = terms[-1, 0] * decay**behind
    second = terms[-1, 1] * decay**behind + behind * decay ** (behind - 1.0) * terms[-1, 0]
    return arrays(terms, np.stack([first, second], axis=-1), 1e-13)


def delay_line() -> Finding:
    """U shifts every unit into the next one: what unit N holds came N − 1 steps ago; beyond, δ is exactly zero."""
    N = 9
    one = trace(
        Point(activation="identity", length=30, hidden_size=N, output_size=1, batch_size=1),
        parameters={"U": np.eye(N, k=-1), "V": np.eye(N)[-1:]},
    )
    alive = np.flatnonzero(np.isfinite(one.ln_norms[0, :, 0]))
    reach = one.point.length - 1 - int(alive[0])
    steady = np.abs(one.ln_norms[0, alive, 0] - one.ln_norms[0, -1, 0]).max()
    return Finding(float(reach), float(N - 1), abs(reach - (N - 1)) + float(steady), 0.0)


def residual_at_rest() -> Finding:
    """Every unit of a residual tanh network at h = 0 with U = uI: (1 − a) + a·u a step."""
    leak, u = 0.2, 0.7
    point = Point(
        cell="residual", weights="identity", gamma_kind="gain", gamma=u, leak=leak, input="zero", length=3000
    )
    return straight(point, math.log(1 - leak + leak * u), 1e-14)


def logistic_unit() -> Finding:
    """One logistic unit held at z = 0, where f' = 1/4: w/4 a step, so that w = 4 is where it neither vanishes
    nor explodes. b = −w/2 holds it there once the first input has."""
    findings = []
    for w in (3.0, 4.0, 5.0):
        point, own = one_unit({"U": w, "W": w / 2, "V": 1.0, "b": -w / 2}, activation="logistic", length=400)
        x = np.zeros((400, 1, 1))
        x[0] = 1.0
        findings.append(straight(point, math.log(w / 4), 1e-14, parameters=own, inputs=x))
    return worst(findings)


def nominal_bound() -> Finding:
    """The largest ln ratio above ℓ ln γ over lags, cells and seeds, for the curves where γ^ℓ is a theorem."""
    excess = []
    for name, cell in CELLS.items():
        for seed in range(3):
            found = row(Point(cell=name, length=200, seed=seed, gamma=cell.default_gamma))
            for kind in cell.bounded:
                over = np.array(found[kind]) - np.array(found["bound"]) - 1e-14 * np.array(found["lag"])
                excess.append(float(over.max()))
    return Finding(max(excess), 0.0, max(0.0, *excess), 1e-12)


def path_bound() -> Finding:
    """‖δ_{t,k}‖ ≤ ∏‖D_i Uᵀ‖ ‖δ_{t,t}‖, spectral norms by SVD of the factors that the net inputs give, D_i from
    1/cosh²; and the product, in turn, ≤ γ^ℓ. The value is the largest ln ratio above either."""
    excess = []
    for seed, gamma in ((0, 0.9), (1, 1.5), (2, 3.0)):
        point = Point(weights="gaussian", gamma=gamma, length=60, hidden_size=12, batch_size=2, seed=seed)
        one = trace(point)
        D = 1 / np.cosh(one.net_inputs) ** 2
        U = one.parameters["U"]
        steps = np.log(np.linalg.norm(D[..., :, None] * U.T, 2, axis=(-2, -1)))  # (T, B)
        product = np.cumsum(steps[-2::-1], axis=0)[::-1]
        grown = one.ln_norms[0, :-1] - one.ln_norms[0, -1]
        behind = lags(60)[:-1, None]
        excess += [
            float((grown - product - 1e-14 * behind).max()),
            float((product - behind * np.log(np.linalg.norm(U, 2)) - 1e-14 * behind).max()),
        ]
    return Finding(max(excess), 0.0, max(0.0, *excess), 1e-12)
