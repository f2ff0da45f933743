"""What a check is, and the small steps that several checks take with the results of ``measure`` and ``trace``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cells import CELLS
from ..measure import Trace, measure
from ..points import Point

Float = NDArray[np.float64]


class Finding(NamedTuple):
    """What a check found; ``error`` and ``tolerance`` are absolute, relative or a lag's, as the check says."""

    value: float
    reference: float
    error: float
    tolerance: float


class Entry(NamedTuple):
    """One line of the registry: the subject it is listed under, how it is found, where the truth is from."""

    subject: str
    find: Callable[[], Finding]
    source: str
    slow: bool = False


@dataclass(frozen=True)
class Check:
    """One line of the scorecard."""

    subject: str
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


def absolute(value: float, reference: float, tolerance: float) -> Finding:
    """Two numbers and their distance."""
    return Finding(value, reference, abs(value - reference), tolerance)


def relative(value: float, reference: float, tolerance: float) -> Finding:
    """Two numbers and their distance as a share of the reference."""
    return Finding(value, reference, abs(value - reference) / abs(reference), tolerance)


def arrays(found: Any, wanted: Any, tolerance: float) -> Finding:
    """Two arrays: the elements that differ most, and that difference as a share of the largest element."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if found.shape != wanted.shape:
        raise ValueError(f"shapes {found.shape} and {wanted.shape} differ: compare arrays of one shape")
    apart = np.where(found == wanted, 0.0, np.abs(found - wanted))
    where = np.unravel_index(int(np.argmax(apart)), apart.shape)
    largest = float(np.abs(wanted).max())
    return Finding(float(found[where]), float(wanted[where]), float(apart[where]) / largest, tolerance)


def worst(findings: Any) -> Finding:
    """The finding that is nearest to failing, or has failed by most; one that is no number is the worst."""
    return max(findings, key=_badness)


def _badness(one: Finding) -> float:
    if np.isnan(one.error):
        return np.inf
    return one.error / one.tolerance if one.tolerance else one.error * 1e300


def row(point: Point, **given: Any) -> dict[str, Any]:
    """The one row of ``measure`` as a dict."""
    return measure(point, **given).to_pylist()[0]


def one_unit(values: dict[str, float], **parameters: Any) -> tuple[Point, dict[str, NDArray]]:
    """A point with N = M = K = 1 (and B = 1) and its arrays, each filled with one number, or with zero."""
    point = Point(**{"batch_size": 1, **parameters, "hidden_size": 1, "input_size": 1, "output_size": 1})
    shapes = CELLS[point.cell]().shapes(1, 1, 1)
    return point, {name: np.full(shape, values.get(name, 0.0)) for name, shape in shapes.items()}


def error_terms(one: Trace) -> Float:
    """δ_{t,k} themselves, (R, T, B, G·N), where they are in range."""
    return one.error_terms * np.exp(one.ln_norms)[..., None]


def start(one: Trace, r: int = -1) -> Float:
    """∂L_t/∂h_t (B, N) of a squared loss at loss time number r."""
    end = one.loss_times[r] - 1
    return (one.outputs[end] - one.targets[end]) @ one.parameters["V"]


def lags(T: int) -> NDArray[np.int64]:
    """The lag of every step k = 1 … T from t = T."""
    return T - np.arange(1, T + 1)


def straight(point: Point, ln_gamma: float, tolerance: float, **given: Any) -> Finding:
    """ln‖δ_{T,k}‖ − ln‖δ_{T,T}‖ = ℓ·ln γ at every lag and column; the error is a lag's: |difference|/ℓ."""
    from ..measure import trace

    one = trace(point, **given)
    ratios = one.ln_norms[0, :-1] - one.ln_norms[0, -1]
    behind = lags(point.length)[:-1, None]
    apart = np.abs(ratios - behind * ln_gamma) / behind
    return Finding(float(ratios[0, 0]), float(behind[0, 0] * ln_gamma), float(np.max(apart)), tolerance)
