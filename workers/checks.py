"""The scorecard: results that have a closed form, computed by the engine of this installation and compared.

Each entry measures through the public ``measure`` and ``trace`` and states value, reference, error, tolerance and
source. The suite runs the same list; ``longlag verify`` prints it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import CELLS
from .measure import Trace, measure, trace
from .points import Point

Finding = tuple[float, float, float, float]
"""value, reference, error, tolerance"""


@dataclass(frozen=True)
class Check:
    """One line of the scorecard; ``error`` is absolute or relative as the check's name says."""

    name: str
    value: float
    reference: float
    error: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; a NaN is not."""
        return bool(self.error <= self.tolerance)


def verify() -> Iterator[Check]:
    """Every check, one after the other, as it is done."""
    for name, (check, source) in CHECKS.items():
        value, reference, error, tolerance = map(float, check())
        yield Check(name, value, reference, error, tolerance, source)


def _row(point: Point, **own: Any) -> dict[str, Any]:
    return measure(point, **own).to_pylist()[0]


def _one_unit(weights: dict[str, float], **parameters: Any) -> tuple[Point, dict[str, NDArray]]:
    """A point with N = M = K = B = 1 and its arrays, each filled with one number (d with zero)."""
    point = Point(hidden_size=1, input_size=1, output_size=1, batch_size=1, **parameters)
    shapes = CELLS[point.cell]().shapes(1, 1, 1)
    return point, {name: np.full(shape, weights.get(name, 0.0)) for name, shape in shapes.items()}


def _vectors(one: Trace) -> NDArray[np.float64]:
    """δ_{t,k} themselves, (R, T, B, G·N)."""
    return one.error_terms * np.exp(one.ln_norms)[..., None]


def _orthogonal_linear() -> Finding:
    L = 9_999
    found = _row(
        Point(activation="identity", gamma=0.5, length=L + 1, hidden_size=8, batch_size=1, input="zero")
    )
    value, reference = found["ln_ratio_end"], L * math.log(0.5)
    return value, reference, abs(value - reference), 1e-14 * L


def _linear_loop() -> Finding:
    found = _row(Point(cell="linear", gamma=1.0, length=512))
    error = float(np.abs(found["delta"]).max())
    return found["ln_ratio_end"], 0.0, error, 0.0


def _directional_derivatives() -> Finding:
    """Every parameter of every cell at once: ⟨∂L/∂θ, v⟩ against a central difference of sixth order."""
    worst = (0.0, 0.0, -1.0)
    for name in CELLS:
        point = Point(cell=name, length=9, hidden_size=6, input_size=3, output_size=2, batch_size=3)
        one, rng = trace(point), np.random.default_rng(3)
        step = {key: rng.standard_normal(np.shape(a)) for key, a in one.parameters.items()}

        def loss(h: float, one: Trace = one, step: dict[str, NDArray] = step, point: Point = point) -> float:
            return trace(point, parameters={k: a + h * step[k] for k, a in one.parameters.items()}).loss

        h = 1e-3
        odd = [loss(j * h) - loss(-j * h) for j in (1, 2, 3)]
        reference = (45 * odd[0] - 9 * odd[1] + odd[2]) / (60 * h)
        value = sum(float((one.gradients[key] * step[key]).sum()) for key in step)
        worst = max(worst, (value, reference, abs(value / reference - 1)), key=lambda found: found[2])
    return *worst, 1e-8


def _double_sum() -> Finding:
    """Σ_t Σ_{k≤t} δ_{t,k} h_{k−1}ᵀ from the error terms against the gradient of one sweep."""
    one = trace(Point(length=40, hidden_size=6, batch_size=3, loss_times="every"))
    double = np.einsum("rkbi,kbj->ij", _vectors(one), one.states[:-1]) / 3
    value, reference = (float(np.linalg.norm(a)) for a in (one.gradients["U"], double))
    return value, reference, float(np.abs(one.gradients["U"] - double).max()) / reference, 1e-12


def _bound() -> Finding:
    """The largest ln ratio above ℓ ln γ over lags, cells and seeds where the bound is a theorem."""
    excess = []
    for name, cell in CELLS.items():
        for seed in range(3):
            found = _row(Point(cell=name, length=200, seed=seed, gamma=cell.default_gamma))
            for kind in cell.bounded:
                lag = np.array(found["lag"])
                excess.append(np.max(np.array(found[kind]) - np.array(found["bound"]) - 1e-14 * lag))
    return max(excess), 0.0, max(0.0, *excess), 1e-12


def _diagonal_linear() -> Finding:
    decays = np.linspace(0.2, 1.1, 7)
    point = Point(activation="identity", length=60, hidden_size=7, output_size=7, batch_size=1)
    one = trace(point, parameters={"U": np.diag(decays)})
    terms = _vectors(one)[0, :, 0]
    wanted = terms[-1] * decays ** np.arange(59, -1, -1)[:, None]
    error = float(np.max(np.abs(terms / wanted - 1)))
    return float(terms[0, 0]), float(wanted[0, 0]), error, 1e-13 * 59


def _memory_logistic() -> Finding:
    T = 1000
    half = np.random.default_rng(17).standard_normal((T, 50, 1))
    x = np.concatenate([half, -half], axis=1)  # g(x) + g(−x) = 1: pairs have mean t/2 exactly
    point = Point(
        cell="memory",
        activation="logistic",
        length=T,
        hidden_size=1,
        input_size=1,
        output_size=1,
        batch_size=100,
    )
    found = _row(point, parameters={"W": [[1.0]]}, inputs=x)
    value, reference = found["ln_saturation_curve"][-1], math.log(4) - T
    return value, reference, abs(value / reference - 1), 5e-3


def _lstm_without_recurrence() -> Finding:
    """∂c_T/∂c_0 = diag ∏ f: the error terms of z_c against the gates of the tape."""
    N, T = 5, 40
    point = Point(cell="lstm", gamma=0.9, recurrent_gain=0.0, length=T, hidden_size=N, batch_size=1)
    one = trace(point)
    i, f, o, c = np.split(one.net_inputs[:, 0], 4, axis=-1)
    after = np.ones((T, N))
    for k in range(T - 2, -1, -1):
        after[k] = after[k + 1] / (1 + np.exp(-f[k + 1]))
    start = ((one.outputs[-1] - one.targets[-1]) @ one.parameters["V"])[0]
    into = start / (1 + np.exp(-o[-1])) / np.cosh(one.states[-1, 0, N:]) ** 2
    wanted = into * after / (1 + np.exp(-i)) / np.cosh(c) ** 2
    found = _vectors(one)[0, :, 0, 3 * N :]
    error = float(np.max(np.linalg.norm(found - wanted, axis=-1) / np.linalg.norm(wanted, axis=-1)))
    return float(found[0, 0]), float(wanted[0, 0]), error, 1e-13


def _half_life() -> Finding:
    gate = 1 / (1 + math.exp(-5.0))
    point = Point(cell="lstm", gamma=gate, recurrent_gain=0.0, gate_bias=50.0, input="zero", length=200)
    value, reference = _row(point)["half_life"], 103.218
    return value, reference, abs(value / reference - 1), 1e-4


def _gru_keep() -> Finding:
    point = Point(cell="gru", gamma=0.97, recurrent_gain=0.0, input="zero", length=400, hidden_size=4)
    value, reference = _row(point)["ln_ratio_end"], 399 * math.log(0.97)
    return value, reference, abs(value / reference - 1), 1e-13


def _truncated() -> Finding:
    u, K = 0.9, 10
    point, arrays = _one_unit({"U": u, "W": 0.3, "V": 0.3, "b": 0.3}, activation="identity", length=2000)
    one = trace(point, parameters=arrays)
    value = float(_vectors(one)[0, -K:, 0, 0].sum() / one.gradients["b"][0])
    reference = 1 - u**K
    return value, reference, abs(value - reference), 1e-12


def _derivative_from_z() -> Finding:
    """tanh' at |z| = 300, which 1 − tanh² has lost long before: ln 4 − 600 to the last digits."""
    point, arrays = _one_unit({"U": 1.0, "W": 300.0, "V": 1.0}, length=2)
    one = trace(point, parameters=arrays, inputs=np.array([[[0.0]], [[1.0]]]))
    signal = math.log(abs((one.outputs[-1] - one.targets[-1])[0, 0]))
    value, reference = float(one.ln_norms[0, -1, 0]) - signal, math.log(4.0) - 600.0
    return value, reference, abs(value - reference), 1e-12 * 600


_OWN = "derived here"
CHECKS: dict[str, tuple[Callable[[], Finding], str]] = {
    "orthogonal linear network: r(ℓ) = ℓ ln γ at lag 9,999": (_orthogonal_linear, _OWN),
    "linear loop, γ = 1: the error term is constant to the last bit": (
        _linear_loop,
        "Hochreiter & Schmidhuber 1997",
    ),
    "gradients of every cell along a random direction (relative)": (
        _directional_derivatives,
        "Fornberg 1988",
    ),
    "double sum over t and k = gradient of one sweep (relative)": (_double_sum, "Werbos 1990"),
    "the bound γ^ℓ, where it is a theorem, is never passed": (_bound, "Pascanu, Mikolov & Bengio 2013"),
    "diagonal linear network: λ_i^ℓ for every unit (relative)": (_diagonal_linear, _OWN),
    "memory cell, logistic input: mean ln(1 − tanh² c_t) = ln 4 − t": (_memory_logistic, _OWN),
    "LSTM without recurrence: ∂c_T/∂c_k = ∏ f (relative)": (_lstm_without_recurrence, "Gers et al. 2000"),
    "forget bias 5: half-life 103.218 (relative)": (_half_life, _OWN),
    "GRU with a constant keep gate: γ^ℓ (relative)": (_gru_keep, "Cho et al. 2014"),
    "truncated BPTT, u = .9, K = 10: g_K/g = 1 − u^K": (_truncated, _OWN),
    "tanh' at z = 300 from z: ln 4 − 600": (_derivative_from_z, _OWN),
}
