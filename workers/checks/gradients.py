"""Gradients and error terms against complex step, double sums, tangents and identities."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..cells import CELLS
from ..measure import Trace, measure, trace
from ..points import Point
from . import textbook
from .base import Finding, absolute, arrays, error_terms, one_unit, relative, row, worst


def _cells(**parameters: object) -> Iterator[Trace]:
    """A small trace of every cell in every variant that has an analytic forward pass."""
    for variant in textbook.variants(tuple(CELLS)):
        sizes = {"length": 7, "hidden_size": 4, "input_size": 2, "output_size": 3, "batch_size": 2}
        yield trace(Point(**{**sizes, **variant, **parameters, "seed": 6}))


def squared_loss() -> Finding:
    """∂L/∂θ of every array of every cell."""
    return worst(
        arrays(one.gradients[name], textbook.gradient(one, name), 1e-12)
        for one in _cells(loss_times="3")
        for name in one.parameters
    )


def cross_entropy() -> Finding:
    """The same with −ln softmax at every step."""
    return worst(
        arrays(one.gradients[name], textbook.gradient(one, name), 1e-12)
        for one in _cells(loss="cross_entropy", loss_times="every")
        for name in one.parameters
    )


def error_terms_by_step() -> Finding:
    """δ_{t,k} itself, every loss time, step and component of the net input."""
    return worst(
        arrays(found[:, k - 1], textbook.error_terms(one, k), 1e-12)
        for one in _cells(loss_times="3")
        for found in [error_terms(one)]
        for k in (1, 2, 4, 7)
    )


def duality() -> Finding:
    """⟨w, P v⟩ = ⟨Pᵀ w, v⟩ over 200 steps: the tangent of a random push of z_1 forwards, in one complex step,
    against the error term backwards. w = ∂L_T/∂s_T; the error is relative to ‖δ_{T,1}‖‖v‖."""
    findings = []
    for one in _cells(length=200):
        v = np.random.default_rng(9).standard_normal(one.net_inputs.shape[1:])
        forwards = textbook.tangent(one, v)
        scale = np.exp(one.ln_norms[0, 0])
        backwards = (one.error_terms[0, 0] * v).sum(axis=-1) * scale
        apart = np.abs(forwards - backwards) / (scale * np.linalg.norm(v, axis=-1))
        findings.append(Finding(float(backwards[0]), float(forwards[0]), float(apart.max()), 1e-12))
    return worst(findings)


def double_sum() -> Finding:
    """Σ_t Σ_{k≤t} δ_{t,k} h_{k−1}ᵀ, (…) x_kᵀ and (…) from the error terms, against one sweep of their sum."""
    one = trace(Point(length=40, hidden_size=6, batch_size=3, loss_times="every"))
    delta, B = error_terms(one), 3
    sums = {
        "U": np.einsum("rkbi,kbj->ij", delta, one.states[:-1]),
        "W": np.einsum("rkbi,kbj->ij", delta, one.inputs),
        "b": delta.sum(axis=(0, 1, 2)),
    }
    return worst(arrays(one.gradients[name], total / B, 1e-12) for name, total in sums.items())


def sum_over_lags() -> Finding:
    """Σ_ℓ G(ℓ) = ∂L/∂U with G(ℓ) = Σ_t δ_{t,t−ℓ} h_{t−ℓ−1}ᵀ, for an LSTM whose every block sees h."""
    T, N = 30, 5
    one = trace(Point(cell="lstm", gamma=0.8, length=T, hidden_size=N, batch_size=2, loss_times="every"))
    delta, h = error_terms(one), one.states[:-1, :, :N]
    total = np.zeros_like(one.gradients["U"])
    for lag in range(T):
        for t in range(lag + 1, T + 1):
            total += delta[t - 1, t - lag - 1].T @ h[t - lag - 1]
    return arrays(one.gradients["U"], total / 2, 1e-12)


def truncated() -> Finding:
    """h_t = u h_{t−1} + b: δ_{T,T−ℓ} = u^ℓ δ_{T,T}, so the first K lags hold 1 − u^K of ∂L/∂b (T → ∞)."""
    u, K = 0.9, 10
    point, own = one_unit({"U": u, "W": 0.3, "V": 0.3, "b": 0.3}, activation="identity", length=2000)
    one = trace(point, parameters=own)
    share = error_terms(one)[0, -K:, 0, 0].sum() / one.gradients["b"][0]
    return absolute(float(share), 1 - u**K, 1e-12)


def truncation_probe() -> Finding:
    """The same by the probe: with x = 0 and b = 0 the state is zero, ∂L/∂b is the whole gradient, and g_K misses
    u^K of it."""
    u = 0.9
    point, own = one_unit({"U": u, "V": 1.0}, activation="identity", length=600, input="zero")
    found = row(point, parameters=own, probes=["truncated_bptt"])
    windows = np.array(found["truncation_window"])[:-1]
    return worst(
        [
            arrays(np.array(found["truncation_ratio"])[:-1], 1 - u**windows, 1e-12),
            arrays(np.array(found["truncation_bias"])[:-1], u**windows, 1e-12),
        ]
    )


def lag_share_probe() -> Finding:
    """Where the state stands still, G(ℓ) = u^ℓ G(0): the first K lags hold 1 − u^K of ∂L/∂U, with cosine one."""
    u, K = 0.8, 20
    point, own = one_unit({"U": u, "V": 1.0, "b": 0.5}, activation="identity", length=600, input="zero")
    found = row(point, parameters=own, probes=["gradient_by_lag"])
    at = found["window"].index(K)
    return worst(
        [
            absolute(found["window_share"][at], 1 - u**K, 1e-12),
            absolute(found["window_cosine"][at], 1.0, 1e-12),
        ]
    )


def all_pairs_probe() -> Finding:
    """ln‖δ_{t,t−ℓ}‖ − ln‖δ_{t,t}‖ over all t: the mean by lag of a trace with a loss at every step, LSTM."""
    T = 30
    point = Point(cell="lstm", gamma=0.9, length=T, hidden_size=5, batch_size=3)
    found, one = row(point, probes=["all_pairs"]), trace(point.replace(loss_times="every"))
    ln = one.ln_norms
    wanted = [np.mean([ln[t, t - lag] - ln[t, t] for t in range(lag, T)]) for lag in range(T)]
    return arrays(found["pair_mean"], wanted, 1e-12)


def loop_weight() -> Finding:
    """c_T = Σ a^{T−k} x_k, so ∂c_T/∂a = Σ (T − k) a^{T−k−1} x_k: the gradient of the carousel's weight."""
    a, T = 0.95, 120
    point, own = one_unit({"a": a, "W": 1.0, "V": 1.0}, cell="linear", activation="identity", length=T)
    one = trace(point, parameters=own)
    x, behind = one.inputs[:, 0, 0], T - np.arange(1, T + 1.0)
    error = (a**behind @ x) - one.targets[-1, 0, 0]
    return relative(float(one.gradients["a"]), float(error * (behind * a ** (behind - 1)) @ x), 1e-12)


def loop_gradient_grows() -> Finding:
    """The error of the loop is constant, yet ∂L/∂W = δ Σ_k g(x_k) is a random walk: rms √(E g² · T) a component,
    E tanh²(x) over N(0, 1) by quadrature. 40 seeds of 1,000 inputs; ∂L/∂d is δ itself."""
    T, M = 100, 1000
    expected = math.sqrt(_normal_mean(lambda x: math.tanh(x) ** 2) * T)
    points = [
        Point(
            cell="linear",
            gamma=1.0,
            length=T,
            hidden_size=1,
            input_size=M,
            output_size=1,
            batch_size=1,
            seed=seed,
        )
        for seed in range(40)
    ]
    table = measure(points, parameters={"V": [[1.0]]}, probes=["gradients"]).to_pydict()
    ln = np.array(table["ln_grad_norm_W"]) - np.array(table["ln_grad_norm_d"])
    return relative(float(np.sqrt(np.mean(np.exp(2 * ln)) / M)), expected, 0.02)


def _normal_mean(f: object) -> float:
    """E f(x) over N(0, 1) by adaptive quadrature."""
    from scipy.integrate import quad

    value, _ = quad(lambda x: f(x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi), -12, 12, limit=500)  # type: ignore[operator]
    return float(value)


def relu_homogeneity() -> Finding:
    """A ReLU network with U fixed is homogeneous: W, b → sW, sb makes h → sh, as V → sV does for ŷ − d. So
    ⟨W, ∂L/∂W⟩ + ⟨b, ∂L/∂b⟩ = ⟨V, ∂L/∂V⟩, exactly, kinks or not."""
    own = {"b": np.random.default_rng(1).standard_normal(8) * 0.3}
    one = trace(Point(activation="relu", gamma=1.2, length=40, hidden_size=8, loss_times="5"), parameters=own)
    g, p = one.gradients, one.parameters
    left = float((p["W"] * g["W"]).sum() + (p["b"] * g["b"]).sum())
    return relative(left, float((p["V"] * g["V"]).sum()), 1e-12)


def sign_flips() -> Finding:
    """tanh is odd: flipping the signs of some units (rows of U, W, b and columns of U, V) is the same network, so
    every gradient flips with its array and the loss stays."""
    point = Point(length=25, hidden_size=6, loss_times="3", seed=2)
    one = trace(point)
    flip = np.array([1.0, -1.0, -1.0, 1.0, -1.0, 1.0])
    signs = {"U": np.outer(flip, flip), "W": flip[:, None], "b": flip, "V": flip, "d": np.ones(4)}
    other = trace(point, parameters={name: a * signs[name] for name, a in one.parameters.items()})
    same = [
        arrays(other.gradients[n] * sign, one.gradients[n], 1e-13) for n, sign in signs.items() if n != "b"
    ]
    return worst([*same, relative(other.loss, one.loss, 1e-13)])


def softmax_is_shift_free() -> Finding:
    """A constant added to all outputs leaves softmax alone: Σ_j ∂L/∂d_j = 0; and V = 0 gives ln K a loss time."""
    point = Point(loss="cross_entropy", length=20, output_size=7, loss_times="4")
    drift = float(trace(point).gradients["d"].sum())
    blind = row(point, parameters={"V": np.zeros((7, 64)), "d": np.zeros(7)})["loss_value"]
    return worst([absolute(drift, 0.0, 1e-14), absolute(blind, 4 * math.log(7), 1e-13)])
