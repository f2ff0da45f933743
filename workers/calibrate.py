"""Calibration: the knob at which the realised γ of a point is its gamma. It knows no cell.

The realised γ of a knob is measured with common random numbers: one trajectory of STEPS steps under the point's
own input law, ROWS random adjoint rows from its end down, the slope of their mean ln‖·‖ over the last nine tenths
of the lags. It is scanned over the whole range of the knob, then a bracket is narrowed to a root. What is measured
of one point never depends on another, so its knob does not either, whatever company it is calibrated in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import CELLS, Cell
from .descent import back, descent
from .errors import Unreachable
from .inputs import INPUTS
from .points import Point
from .scale import Bundle
from .stack import Stack, draw_parameters, stack
from .tape import Tape, forward, overflow_step
from .weights import stream

STEPS = 400
ROWS = 8
SCANNED = 13
"""Knob values of the scan, evenly spaced on the knob's scale."""
EVALUATIONS = 20
"""How often the realised γ of a point is measured, about: the scan, some five iterates, twice at the knob."""
TOLERANCE = 1e-3
"""Width, on the knob's scale, to which the bracket is narrowed."""
MISS = 2e-2
"""|ln realised γ − ln gamma| of the knob beyond which γ jumps over the target: there is no such knob."""
_SKIPPED = STEPS // 10  # the first lags follow the singular structure of U, not the rate
_HALVINGS = 12  # of a bracket at whose end the state overflows
_EXACT = 1e-9  # an error below which there is nothing to narrow
_DRAWN = 64  # recurrent blocks that stay cached from one knob value to the next
_FLOOR = -1e3  # stands for ln 0 where a root finder needs numbers


@dataclass(frozen=True)
class Scale:
    """What the search sees as x: ``knob(x)`` and the range of x that is scanned."""

    knob: Callable[[float], float]
    low: float
    high: float

    @property
    def scan(self) -> list[float]:
        """The x of the scan, ascending."""
        return [float(x) for x in np.linspace(self.low, self.high, SCANNED)]


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


LOG = Scale(math.exp, -6 * math.log(2.0), 6 * math.log(2.0))
"""Gains and loop weights from 1/64 to 64; x is the logarithm."""
LOGIT = Scale(_logistic, -6.0, 12.0)
"""Gates; x is the bias, which for a gate near one is the logarithm of its time constant."""


def scale_of(cell: type[Cell]) -> Scale:
    """The scale on which a cell's knob is searched: a gate's bias, the logarithm of all else."""
    return LOG if cell.keep_gate is None else LOGIT


@dataclass(frozen=True)
class Calibration:
    """What calibrating a point found: ``point`` with the knob in place of its gamma, or ``why`` there is none.

    ``crossings`` counts how often the realised γ crosses the target over the knobs scanned, up or down;
    ``recheck`` is the realised γ at the knob on other inputs and other rows.
    """

    crossings: int
    point: Point | None = None
    recheck: float | None = None
    why: str | None = None

    def columns(self) -> dict[str, Any]:
        """Its values of the base columns."""
        knob = None if self.point is None else self.point.gamma
        return {"knob": knob, "knob_crossings": self.crossings, "gamma_recheck": self.recheck}


def at_knob(point: Point, knob: float) -> Point:
    """The point with the knob itself in place of a realised gamma."""
    return point.replace(gamma=knob, gamma_kind=CELLS[point.cell].knob_kind)


def calibrate(points: Sequence[Point]) -> list[Calibration]:
    """A calibration a point, in their order; all points have one shape and gamma_kind "realised".

    To be called under ``kernel.numerics``. The knob is looked for in the first bracket of the scan in which the
    realised γ rises through the target or, where it only falls, in the first in which it falls.
    """
    size = company(points[0]) if points else 1
    parts = [_Search(points[i : i + size]) for i in range(0, len(points), size)]
    return [found for part in parts for found in part.calibrations()]


def company(point: Point) -> int:
    """How many points are calibrated at once: their recurrent blocks stay cached from knob to knob."""
    return max(1, _DRAWN // len(CELLS[point.cell].gates))


def trial(point: Point) -> Point:
    """The point whose trajectory is measured: one column, STEPS steps."""
    return point.replace(length=STEPS, batch_size=1, loss_times="last")


Bracket = tuple[float, float]


class _Search:
    """The realised γ of some points as functions of x; each value is measured once."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = points
        self.cell = CELLS[points[0].cell]
        self.scale = scale_of(self.cell)
        self.known: list[dict[float, float]] = [{} for _ in points]
        """ln realised γ at every x measured: −inf where every row dies, +inf where the state overflows, NaN where
        the cell has no such knob."""

    def calibrations(self) -> list[Calibration]:
        """Scan, bracket, narrow, and measure again."""
        everyone = range(len(self.points))
        for x in self.scale.scan:
            self.measure(everyone, [x] * len(self.points))
        self._look_closer([i for i in everyone if not self._crossings(i)])
        crossings = [self._crossings(i) for i in everyone]
        brackets = {i: self._chosen(i, found) for i, found in enumerate(crossings) if found}
        knobs = self._knobs(self._narrowed(brackets))
        settled = {i: at_knob(self.points[i], self.scale.knob(x)) for i, x in knobs.items()}
        again = dict(zip(settled, _realised(list(settled.values()), "recheck"), strict=True))
        return [
            Calibration(len(crossings[i]), settled[i], _exp(again[i]))
            if i in settled
            else Calibration(len(crossings[i]), why=self._why(i, jumps=bool(crossings[i])))
            for i in everyone
        ]

    def measure(self, which: Sequence[int], xs: Sequence[float]) -> None:
        """Make the realised γ of these points known, each at its x; those that are known are not measured again."""
        new = [(i, x) for i, x in zip(which, xs, strict=True) if x not in self.known[i]]
        trials = [at_knob(self.points[i], self.scale.knob(x)) for i, x in new]
        for (i, x), ln_gamma in zip(new, _realised(trials, "scan"), strict=True):
            self.known[i][x] = ln_gamma

    def error(self, i: int, x: float) -> float:
        """ln realised γ − ln gamma of point i at a known x; never 0 − 0 of two −inf."""
        target = self.points[i].gamma
        return self.known[i][x] - math.log(target) if target > 0 else math.inf

    def _look_closer(self, which: Sequence[int]) -> None:
        """Scan once more, between the neighbours of the x that is nearest to the target: γ may peak there."""
        xs = self.scale.scan
        closer = {}
        for i in which:
            errors = [abs(f) if math.isfinite(f := self.error(i, x)) else math.inf for x in xs]
            if min(errors) < math.inf:
                j = errors.index(min(errors))
                closer[i] = np.linspace(xs[max(j - 1, 0)], xs[min(j + 1, SCANNED - 1)], SCANNED).tolist()
        for round_ in zip(*closer.values(), strict=True):
            self.measure(list(closer), list(round_))

    def _crossings(self, i: int) -> list[Bracket]:
        """Neighbours among the known x between which point i crosses its target, ascending."""
        errors = [(x, self.error(i, x)) for x in sorted(self.known[i])]
        return [(a, b) for (a, fa), (b, fb) in pairwise(errors) if (fa < 0 <= fb) or (fb < 0 <= fa)]

    def _chosen(self, i: int, crossings: Sequence[Bracket]) -> Bracket:
        """The first in which γ rises; where it nowhere does, the first."""
        return next((ends for ends in crossings if self.error(i, ends[0]) < 0), crossings[0])

    def _narrowed(self, brackets: dict[int, Bracket]) -> dict[int, Bracket]:
        """The brackets halved until no state overflows at an end; those are left out where one still does."""
        brackets = dict(brackets)
        for _ in range(_HALVINGS):
            halved = [i for i, ends in brackets.items() if self._overflows(i, ends)]
            middles = [sum(brackets[i]) / 2 for i in halved]
            self.measure(halved, middles)
            for i, x in zip(halved, middles, strict=True):
                low, high = brackets[i]
                like_low = (self.error(i, x) < 0) == (self.error(i, low) < 0)
                brackets[i] = (x, high) if like_low else (low, x)
        return {i: ends for i, ends in brackets.items() if not self._overflows(i, ends)}

    def _overflows(self, i: int, ends: Bracket) -> bool:
        return any(self.known[i][x] == math.inf for x in ends)

    def _knobs(self, brackets: dict[int, Bracket]) -> dict[int, float]:
        """The x of each bracket whose γ is nearest to the target, once it is narrowed to TOLERANCE.

        By Chandrupatla's method (1997), a hybrid of bisection and inverse quadratic interpolation: its iterates are
        each point's own, and points that have converged drop out. Left out are those whose γ jumps over the target.
        """
        from scipy.optimize import elementwise

        if not brackets:
            return {}

        def errors(x: NDArray[np.float64], which: NDArray[np.int64]) -> NDArray[np.float64]:
            chosen, xs = which.tolist(), x.tolist()
            self.measure(chosen, xs)
            return np.array([max(self.error(i, at), _FLOOR) for i, at in zip(chosen, xs, strict=True)])

        low, high = (np.array(ends) for ends in zip(*brackets.values(), strict=True))
        tolerances = {"xatol": TOLERANCE, "xrtol": 0.0, "fatol": _EXACT, "frtol": 0.0}
        elementwise.find_root(errors, (low, high), args=(np.array(list(brackets)),), tolerances=tolerances)
        found = {}
        for i, (low, high) in brackets.items():
            miss, x = min((abs(self.error(i, x)), x) for x in self.known[i] if low <= x <= high)
            if miss <= MISS:
                found[i] = x
        return found

    def _why(self, i: int, jumps: bool) -> str:
        """What was seen of a point that has no knob: γ at the ends of their range, and nearest to the target."""
        gamma, seen = self.points[i].gamma, self.known[i]
        finite = sorted(x for x in seen if seen[x] < math.inf)
        lost = sorted(x for x in seen if seen[x] == math.inf)
        overflow = f"; the state overflows at {self._told(lost[0])}" if lost else ""
        if gamma == 0 or not finite:
            return f"gamma = {gamma:g}: no knob realises it; give one above 0{overflow}"
        nearest = min(finite, key=lambda x: (abs(self.error(i, x)), x))
        low, high = (f"{_shown(seen[x])} at {self._told(x)}" for x in (finite[0], finite[-1]))
        missed = "jumps over it" if jumps else "does not come by it"
        return (
            f"gamma = {gamma:g}: the realised gamma of this {self.cell.name} cell {missed} from {low} to {high}; "
            f"nearest is {_shown(seen[nearest])} at {self._told(nearest)}{overflow}"
        )

    def _told(self, x: float) -> str:
        return f"{self.cell.knob_kind} {self.scale.knob(x):.6g}"


def _shown(ln_gamma: float) -> str:
    return f"{math.exp(min(ln_gamma, 700.0)):.4g}"


def _exp(value: float) -> float | None:
    """exp; None where the state overflows."""
    return math.exp(value) if value < 700 else None


def _realised(points: Sequence[Point], name: str) -> list[float]:
    """ln realised γ of points at their knobs, on the random numbers of this name: see ``_Search.known``."""
    arrays: dict[int, dict[str, NDArray]] = {}
    for i, point in enumerate(points):
        with suppress(Unreachable):
            arrays[i] = draw_parameters(point)
    values = [math.nan] * len(points)
    if arrays:
        possible = [trial(points[i]) for i in arrays]
        for i, ln_gamma in zip(arrays, _decay(possible, list(arrays.values()), name), strict=True):
            values[i] = ln_gamma
    return values


def _decay(trials: Sequence[Point], arrays: list[dict[str, NDArray]], name: str) -> list[float]:
    seeds = [int(stream(one.seed, "calibration", name).integers(2**63)) for one in trials]
    inputs = [
        INPUTS[one.input](seed, (STEPS, 1, one.input_size)) * one.input_scale
        for one, seed in zip(trials, seeds, strict=True)
    ]
    whole = stack(trials, arrays, inputs, (STEPS,))
    tape = forward(whole)
    slopes = _slopes(whole, tape, _random_rows(whole, seeds))
    return np.where(overflow_step(tape) > 0, math.inf, slopes).tolist()


def _slopes(whole: Stack, tape: Tape, bundle: Bundle) -> NDArray[np.float64]:
    """(r(L) − r(ℓ0))/(L − ℓ0) of the rows' mean ln‖λ_{T−ℓ}‖, with L = T − 1 and ℓ0 the lags skipped (P,)."""
    skipped = ends = np.zeros(0)
    for stretch in descent(whole, tape):
        for k, local in stretch.steps():
            norms = bundle.ln_norms()  # of λ_k; every step, so that the rows stay in range
            if k == STEPS - _SKIPPED:
                skipped = norms[:, :, 0]
            ends = norms[:, :, 0]
            bundle, _ = back(whole, bundle, local)
    slopes = (ends.mean(axis=-1) - skipped.mean(axis=-1)) / (STEPS - 1 - _SKIPPED)
    return np.where(np.isneginf(ends).any(axis=-1), -math.inf, slopes)


def _random_rows(whole: Stack, seeds: Sequence[int]) -> Bundle:
    """ROWS rows λ_T with independent N(0, 1) elements: (components, P, ROWS, 1, N)."""
    N, components = whole.weights.V.shape[-1], whole.cell.components
    drawn = np.stack([stream(seed, "rows").standard_normal((ROWS, components, N)) for seed in seeds])
    value = np.ascontiguousarray(drawn.transpose(2, 0, 1, 3)[:, :, :, None], whole.weights.V.dtype)
    return Bundle(value, np.zeros((len(seeds), ROWS, 1), np.int64))
