"""Gated cells: what is left of the gradient where the recurrence is cut, and the whole block Jacobian where not."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..cells import CELLS
from ..jacobian import jacobians
from ..kernel import Task, numerics
from ..measure import trace
from ..points import Point
from ..stack import stack
from ..tape import forward
from . import textbook
from .base import Finding, Float, absolute, arrays, error_terms, relative, row, straight, worst


def lstm_without_recurrence() -> Finding:
    """U = 0: ∂c_T/∂c_k = diag ∏ f_i. δ of block c is that product between read-out and candidate, gates from the
    net inputs, derivatives from 1/cosh²."""
    N, T = 5, 40
    one = trace(Point(cell="lstm", gamma=0.9, recurrent_gain=0.0, length=T, hidden_size=N, batch_size=1))
    i, f, o, c = np.split(one.net_inputs[:, 0], 4, axis=-1)
    after = np.ones((T, N))
    for k in range(T - 2, -1, -1):
        after[k] = after[k + 1] / (1 + np.exp(-f[k + 1]))
    signal = ((one.outputs[-1] - one.targets[-1]) @ one.parameters["V"])[0]
    into = signal / (1 + np.exp(-o[-1])) / np.cosh(one.states[-1, 0, N:]) ** 2
    wanted = into * after / (1 + np.exp(-i)) / np.cosh(c) ** 2
    found = error_terms(one)[0, :, 0, 3 * N :]
    apart = np.linalg.norm(found - wanted, axis=-1) / np.linalg.norm(wanted, axis=-1)
    return Finding(float(found[0, 0]), float(wanted[0, 0]), float(apart.max()), 1e-13)


def gate_product_is_the_gradient() -> Finding:
    """With U = 0, zero input and open output gates the adjoint of the LSTM is ∏ f and nothing else: the two curves
    that the engine makes by different roads are one."""
    point = Point(cell="lstm", gamma=0.93, recurrent_gain=0.0, gate_bias=50.0, input="zero", length=300)
    found = row(point)
    return arrays(found["adjoint"], found["gate_product"], 1e-13)


def half_lives() -> Finding:
    """A forget gate of bias b halves the error in ln 2/ln(1 + e^−b) steps: 1, 2.2127, 5.4609, 103.218 for b = 0,
    1, 2, 5. Other gates are open (bias 50) and the input is zero, so that f is all there is."""
    findings = []
    for bias in (0.0, 1.0, 2.0, 5.0):
        point = Point(
            cell="lstm",
            gamma=1 / (1 + math.exp(-bias)),
            recurrent_gain=0.0,
            gate_bias=50.0,
            input="zero",
            length=200,
        )
        findings.append(relative(row(point)["half_life"], math.log(2) / math.log1p(math.exp(-bias)), 1e-9))
    return worst(findings)


def gru_keep() -> Finding:
    """k constant and nothing recurrent: k^ℓ."""
    return worst(
        straight(
            Point(
                cell="gru",
                reset=reset,
                gamma=gamma,
                recurrent_gain=0.0,
                input="zero",
                length=400,
                hidden_size=4,
            ),
            math.log(gamma),
            1e-14,
        )
        for reset in ("before", "after")
        for gamma in (0.5, 0.97, 0.999)
    )


def gru_conventions_agree() -> Finding:
    """Where the reset gate is one (bias 60, σ = 1 to the last digit), before and after are the same network."""
    one, other = (
        trace(Point(cell="gru", reset=reset, gate_bias=60.0, gamma=0.8, length=30, hidden_size=6))
        for reset in ("before", "after")
    )
    return worst(arrays(one.gradients[name], other.gradients[name], 1e-12) for name in ("U", "W", "V"))


def block_jacobians() -> Finding:
    """∂s_t/∂s_{t−1} of every gated cell, all blocks at once: the engine's adjoint step on S unit rows, at each step
    of a tape, against complex step on the textbook's equations."""
    gated = tuple(name for name, cell in CELLS.items() if "recurrent_gain" in cell.parameters)
    findings = []
    for variant in textbook.variants(gated):
        point = Point(**variant, length=6, hidden_size=4, input_size=3, batch_size=2, gamma=0.8, seed=3)
        one = trace(point)
        findings += [arrays(found, textbook.jacobian(one, k), 1e-13) for k, found in _jacobians(point)]
    return worst(findings)


def _jacobians(point: Point) -> Iterator[tuple[int, Float]]:
    """Every step k but the first, and ∂s_k/∂s_{k−1} (B, S, S) as the engine has it."""
    task, B = Task(point), point.batch_size
    with numerics():
        whole = stack([point], [task.all_parameters()], [task.all_inputs()], (point.length,))
        for k, J, ln_scale in jacobians(whole, forward(whole), B):
            yield k, J[0] * np.exp(ln_scale[0])[:, None, None]


def full_gradient_beats_gate_product() -> Finding:
    """∏ f is not the gradient: with unit recurrent gain the adjoint of the LSTM is the product of block Jacobians,
    complex step by complex step, and the curve is its norm."""
    point = Point(cell="lstm", gamma=0.9, length=41, hidden_size=8, batch_size=1, input_scale=0.5)
    one, found = trace(point), row(point)
    signal = (one.outputs[-1] - one.targets[-1]) @ one.parameters["V"]
    adjoint = np.concatenate([signal[0], np.zeros(8)])
    first = np.log(np.linalg.norm(adjoint))
    for k in range(41, 1, -1):
        adjoint = adjoint @ textbook.jacobian(one, k)[0]
    return absolute(found["ln_ratio_end"], float(np.log(np.linalg.norm(adjoint)) - first), 1e-12)


def chrono_bias() -> Finding:
    """A gate that keeps for T steps is (T − 1)/T, at b = ln(T − 1)."""
    findings = []
    for T in (2, 10, 1000):
        point = Point(cell="mingru", gamma=(T - 1) / T, hidden_size=2, length=1)
        findings.append(absolute(float(trace(point).parameters["b"][0]), math.log(T - 1), 1e-12))
    return worst(findings)


def chrono_law() -> Finding:
    """With chrono gates e^b is uniform on [1, T − 1]: the Kolmogorov–Smirnov distance of 4,000 units, at most
    1.95/√n (one in a thousand)."""
    T, N = 100, 4000
    point = Point(cell="mingru", gate_init="chrono", gamma=(T - 1) / T, hidden_size=N, length=1, batch_size=1)
    shares = (np.exp(trace(point).parameters["b"][:N]) - 1) / (T - 2)
    return _uniform(shares)


def ring_law() -> Finding:
    """The diagonal cell's |λ|² is uniform on [r_min², r_max²]: the same distance, 4,000 pairs."""
    low, high = 0.5, 0.99
    point = Point(cell="diagonal", gamma=high, rho_min=low, hidden_size=8000, length=1, batch_size=1)
    squares = trace(point).parameters["rho"] ** 2 / high**2  # rho_min is a share of gamma
    return _uniform((squares - low**2) / (1 - low**2))


def _uniform(shares: Float) -> Finding:
    """The Kolmogorov–Smirnov distance of numbers to U[0, 1]."""
    n, ordered = len(shares), np.sort(shares)
    steps = np.arange(n)
    distance = float(np.maximum(ordered - steps / n, (steps + 1) / n - ordered).max())
    return absolute(distance, 0.0, 1.95 / math.sqrt(n))


def diagonal_pairs() -> Finding:
    """A pair of the diagonal cell turns and shrinks: its error term has norm ρ^ℓ of its start."""
    one = trace(Point(cell="diagonal", length=60, hidden_size=8, batch_size=1, gamma=0.95))
    norms = np.linalg.norm(error_terms(one)[0, :, 0].reshape(60, 4, 2), axis=-1)
    behind = np.arange(59, -1, -1)[:, None]
    apart = np.abs(norms / (norms[-1] * one.parameters["rho"] ** behind) - 1) / np.maximum(behind, 1)
    return Finding(
        float(norms[0, 0]), float(norms[-1, 0] * one.parameters["rho"][0] ** 59), float(apart.max()), 1e-13
    )
