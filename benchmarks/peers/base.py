"""What every peer is given and what it must give back: the same arrays in, the same numbers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Problem:
    """Arrays of P points, ready made, in the point's type and in longlag's shapes and order of blocks.

    ``parameters`` by name (P, …); ``inputs`` (P, T, B, M); ``labels`` (P, R, B, K) of the squared loss at the R
    ``loss_times``. ``kind``: "sweeps" (loss at T, error terms, adjoints and gradients), "pairs" (a loss at every
    step, error terms), "lyapunov" (the spectrum over the steps of ``window``, both included, of the first
    ``columns`` columns; the sweep starts at T all the same).
    """

    kind: str
    cell: str
    dtype: str
    parameters: Mapping[str, NDArray]
    inputs: NDArray
    labels: NDArray
    loss_times: tuple[int, ...]
    window: tuple[int, int] = (1, 1)
    columns: int = 1


@dataclass(frozen=True)
class Answer:
    """``ln_delta`` and ``ln_adjoint`` (P, R, T, B): ln‖δ_{t,k}‖ and ln‖λ_{t,k}‖, −inf for k > t; ``curves``: their
    means over columns against lag 0, (P, T) by kind, for a loss at T; ``gradients`` of L by name (P, …);
    ``spectrum`` (P, S), descending. What a workload does not ask for is not there."""

    ln: Mapping[str, NDArray] = field(default_factory=dict)
    curves: Mapping[str, NDArray] = field(default_factory=dict)
    gradients: Mapping[str, NDArray] = field(default_factory=dict)
    spectrum: NDArray | None = None


Work = Callable[[], Any]
Prepare = Callable[[Problem], tuple[Work, Callable[[Any], Answer]]]
"""What every peer's module offers as ``prepare``: a function that does the work once, finished when it returns,
and one that turns what it returned into an Answer, outside of the time."""


def curves_of(ln: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Means over columns of ln‖·_{T,T−ℓ}‖ − ln‖·_{T,T}‖ by lag, (P, T)."""
    return {kind: (v[:, 0, ::-1] - v[:, 0, -1:]).mean(axis=-1) for kind, v in ln.items()}


class Unequal(AssertionError):
    """{who}: {what} differs by {by}, allowed is {allowed}: the times would not be of the same work."""


CURVES = {"float64": 1e-8, "float32": 2e-3}
"""Largest difference of a natural logarithm."""
GRADIENTS = {"float64": 1e-9, "float32": 2e-3}
"""Largest difference of a gradient, relative to its largest element."""
SPECTRA = {"float64": 1e-8, "float32": 2e-3}
_ALLOWED = {"ln of": CURVES, "curve of": CURVES, "gradient of": GRADIENTS, "spectrum": SPECTRA}


_ROUNDING = 4.0


def require_equal(who: str, found: Answer, ours: Answer, dtype: str, exact: Answer | None = None) -> None:
    """Compare everything that a peer gives with ours. Raises Unequal; a peer that gives nothing is one.

    ``exact``: ours in double precision from the same arrays. Where single precision has moved ours further than the
    tolerance (a network may amplify its rounding), a peer may be four times as far from ours.
    """
    mine, theirs, best = _named(ours), _named(found), _named(exact or ours)
    if not theirs:
        raise Unequal(f"{who}: it gave nothing to compare: it must give curves, gradients or a spectrum")
    for what, value in theirs.items():
        table = next(one for kind, one in _ALLOWED.items() if what.startswith(kind))
        relative = table is GRADIENTS
        rounding = difference(mine[what], best[what], relative)
        allowed, by = max(table[dtype], _ROUNDING * rounding), difference(value, mine[what], relative)
        if not by <= allowed:
            raise Unequal(
                f"{who}: the {what} differs by {by:.2g}, allowed is {allowed:.2g}: the times would not be of the "
                "same work"
            )


def _named(answer: Answer) -> dict[str, NDArray]:
    """Everything that an answer gives, by what it is."""
    kinds = {"ln of": answer.ln, "curve of": answer.curves, "gradient of": answer.gradients}
    found = {f"{kind} {name}": value for kind, values in kinds.items() for name, value in values.items()}
    return found if answer.spectrum is None else found | {"spectrum": answer.spectrum}


def difference(a: NDArray, b: NDArray, relative: bool) -> float:
    """Largest difference; of gradients relative to the largest element. NaN where finite ones are elsewhere."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or (np.isneginf(a) != np.isneginf(b)).any():
        return float("nan")
    alive = ~np.isneginf(b)
    by = np.abs(a[alive] - b[alive])
    if not relative:
        return float(by.max(initial=0.0))
    return float(by.max(initial=0.0) / max(np.abs(b[alive]).max(initial=0.0), np.finfo(np.float64).tiny))
