"""The edges of the range: derivatives of saturated units, states that overflow, single precision."""

from __future__ import annotations

import math

import numpy as np

from ..measure import trace
from ..points import Point
from .base import Finding, absolute, one_unit, straight, worst


def tanh_derivative() -> Finding:
    """tanh'(z) = 4e^{−2z}/(1 + e^{−2z})² is ln 4 − 600 at z = 300, where 1 − tanh² has had no digit since 19."""
    return _saturated("tanh", 300.0, math.log(4.0) - 600.0)


def logistic_derivative() -> Finding:
    """σ'(z) = e^{−z}/(1 + e^{−z})² is −600 in logarithms at z = 600."""
    return _saturated("logistic", 600.0, -600.0)


def _saturated(activation: str, z: float, expected: float) -> Finding:
    point, own = one_unit({"U": 1.0, "W": z, "V": 1.0, "b": 0.0}, activation=activation, length=1)
    one = trace(point, parameters=own, inputs=np.ones((1, 1, 1)))
    signal = math.log(abs((one.outputs[-1] - one.targets[-1])[0, 0]))
    return absolute(float(one.ln_norms[0, -1, 0]) - signal, expected, 1e-12 * 600)


def moderate_derivatives() -> Finding:
    """tanh' from z = −25 to 25 against 1/cosh² by its own series of exponentials: relative, each column one z."""
    z = np.linspace(-25, 25, 101)
    point, own = one_unit({"W": 1.0, "V": 1.0}, length=1, batch_size=len(z))
    one = trace(point, parameters=own, inputs=z[None, :, None])
    signal = np.abs(one.outputs[-1] - one.targets[-1])[:, 0]
    found, wanted = np.exp(one.ln_norms[0, -1]) / signal, 4 / (np.exp(z) + np.exp(-z)) ** 2
    apart = np.abs(found / wanted - 1)
    at = int(apart.argmax())
    return Finding(float(found[at]), float(wanted[at]), float(apart[at]), 1e-13)


def overflow_step() -> Finding:
    """A loop of weight 2 that is given one holds 2^{t−1} at step t: the first that is no double is step 1,025, and
    the status says so; the error terms of the steps before it are powers of two exactly."""
    point, own = one_unit({"a": 2.0, "W": 1.0, "V": 1.0}, cell="linear", activation="identity", length=1100)
    x = np.zeros((1100, 1, 1))
    x[0] = 1.0
    one = trace(point, parameters=own, inputs=x)
    step = next((int(word) for word in str(one.status_detail).split() if word.isdecimal()), 0)
    return absolute(float(step), 1025.0, 0.0)


def single_precision() -> Finding:
    """float32 on the logarithmic scale: .9^ℓ at lag 5,000 is 1e−229, 184 orders below its smallest number; .9 as
    float32 has it. The error is a lag's."""
    gamma = float(np.float32(0.9))
    point = Point(
        activation="identity",
        weights="ring",
        gamma=gamma,
        length=5001,
        hidden_size=8,
        input="zero",
        dtype="float32",
    )
    return straight(point, math.log(gamma), 1e-7)


def single_against_double() -> Finding:
    """A tanh network in float32 and in float64: ln‖δ‖ over 1,000 lags agrees in its fourth digit."""
    single, double = (
        trace(Point(length=1000, hidden_size=16, batch_size=2, gamma=1.3, dtype=dtype)).ln_norms[0]
        for dtype in ("float32", "float64")
    )
    apart = np.abs(
        (single - single[-1]) / (double - double[-1] + (double == double[-1])) - (double != double[-1])
    )
    return Finding(float(single[0, 0]), float(double[0, 0]), float(apart[:-100].max()), 1e-4)


def far_apart_rows() -> Finding:
    """Two loss times whose rows are 1e+602 apart: γ = 4 over 2,000 lags. Each row's own ratio is exact, whatever
    the other one's scale."""
    point = Point(
        activation="identity",
        gamma=4.0,
        length=2000,
        loss_times="2",
        hidden_size=8,
        input="zero",
        batch_size=1,
    )
    one = trace(point)
    ratios = [float(one.ln_norms[r, 0, 0] - one.ln_norms[r, t - 1, 0]) for r, t in enumerate(one.loss_times)]
    return worst(
        absolute(ratio, (t - 1) * math.log(4.0), 1e-14 * t)
        for ratio, t in zip(ratios, one.loss_times, strict=True)
    )
