"""The limit: the least time in which this machine could do a workload, from rates that are measured beside it.

A workload has matrix products (operations, at the best rate over shapes), elements through transcendental functions
(one exponential gives f and f', so an element counts once) and bytes that must move. The limit is the larger of
arithmetic and bytes. Additions, norms, copies and calls are not counted: nothing reaches it, but how near one
comes can be compared between workloads and machines. After the roofline of Williams, Waterman & Patterson
(2009), with the transcendental functions as a second kind of arithmetic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..workers import cost
from ..workers.points import Point
from .timing import Contestant, median

TRANSCENDENTAL = {"simple": 1, "linear": 0, "memory": 0, "lstm": 5, "gru": 3}
"""Arrays (B, N) that go through a transcendental function in a step: the gates', and tanh(c) of the lstm."""
FACTORS = {"simple": 1, "linear": 0, "memory": 0, "lstm": 4, "gru": 3}
"""Local derivatives (B, N) of a step that the backward sweep needs beside the states."""


@dataclass(frozen=True)
class Work:
    """What a workload cannot do without: ``flops`` in matrix products, ``transcendental`` elements, ``moved``
    bytes; ``held`` bytes of one point are touched between two uses, and say in which memory they lie."""

    flops: float
    transcendental: float
    moved: float
    held: float


@dataclass(frozen=True)
class Rates:
    """Of one core and one type: operations, elements and bytes a second; ``bandwidth`` by bytes of the array."""

    gemm: float
    transcendental: float
    bandwidth: Mapping[int, float]

    def bytes_a_second(self, held: float) -> float:
        """The bandwidth of the smallest measured array that is no smaller; of the largest one beyond."""
        return self.bandwidth[min((n for n in self.bandwidth if n >= held), default=max(self.bandwidth))]


def least(work: Work, rates: Rates) -> float:
    """The limit in seconds: the larger of arithmetic and bytes."""
    arithmetic = work.flops / rates.gemm + work.transcendental / rates.transcendental
    return max(arithmetic, work.moved / rates.bytes_a_second(work.held))


def sweeps(point: Point, P: int) -> Work:
    """Curves and all gradients of P points like this one, with a loss at the last step.

    Each recurrent block is multiplied three times a step (forward, adjoint, gradient), 2 B N² operations each; the
    inputs twice, 2 B M N. States and local derivatives are written once and read once, inputs read twice.
    """
    s = cost.sizes(point)
    steps, word = s.T * s.B, np.dtype(point.dtype).itemsize
    flops = steps * (6.0 * s.recurrent * s.N * s.N + 4.0 * s.G * s.M * s.N) + 6.0 * s.B * s.K * s.N
    driven = 0.0 if s.recurrent else steps * s.M  # g(x) of linear and memory
    read_out = s.B * s.N if point.cell == "memory" else 0.0
    elements = steps * s.N * TRANSCENDENTAL[point.cell] + driven + read_out
    held = word * steps * s.N * (s.components + FACTORS[point.cell])
    return Work(P * flops, P * elements, P * (2.0 * held + 2.0 * word * steps * s.M), held)


def pairs(point: Point, P: int = 1) -> Work:
    """Error terms of a loss at every step to all steps before it: T (T + 1)/2 rows a column, a product each.

    The logarithms of their norms count as elements, and are written; the forward sweep is one product a step.
    """
    s = cost.sizes(point)
    word, rows = np.dtype(point.dtype).itemsize, s.T * (s.T + 1) / 2 * s.B
    flops = (
        2.0 * s.recurrent * s.N * s.N * (rows + s.T * s.B) + s.T * s.B * (2.0 * s.G * s.M + 4.0 * s.K) * s.N
    )
    elements = s.T * s.B * s.N * TRANSCENDENTAL[point.cell] + rows
    held = word * s.T * s.B * s.N * (s.components + FACTORS[point.cell])
    return Work(P * flops, P * elements, P * (2.0 * held + 8.0 * rows), held)


def spectrum(point: Point, P: int) -> Work:
    """The Lyapunov spectrum of P networks: S rows a column through every step, and their QR factorisation.

    Householder's takes 4/3 S³ operations and its Q as many again, here at the rate of products.
    """
    s = cost.sizes(point)
    columns, S = s.T * s.columns, float(s.S)
    flops = (
        columns * (2.0 * s.recurrent * s.N * s.N * S + 8.0 / 3.0 * S**3)
        + s.T * s.B * 2.0 * s.N * s.N * s.recurrent
    )
    elements = s.T * s.B * s.N * TRANSCENDENTAL[point.cell] + columns * S
    held = 8.0 * s.columns * S * S
    return Work(P * flops, P * elements, 0.0, held)


# ---- rates

SHAPES = (
    (512, 512, 512),
    (256, 256, 256),
    (2048, 128, 128),
    (4096, 64, 64),
    (64, 4096, 64),
    (128, 2048, 128),
)
"""(rows, inner, columns) of the products whose best rate is the machine's."""
WORKING_SETS = (1 << 21, 1 << 24, 1 << 28)
"""Bytes of the arrays whose copies give the bandwidth: in the caches and in memory."""
_FUNCTIONS: dict[str, Callable[..., object]] = {"exp": np.exp, "tanh": np.tanh}
_ELEMENTS = 1 << 13
_APART = 64 * 33  # bytes: source and target of a copy do not fall on the same lines of a cache


class Meter:
    """Measures rates in turns with what they are compared with: ``contestant`` takes one short look at all of them.

    ``seconds``: time for each rate and look.
    """

    def __init__(self, dtype: str, seconds: float = 3e-3, working_sets: Sequence[int] = WORKING_SETS) -> None:
        rng = np.random.default_rng(0)
        self._seconds = seconds
        self._probes: dict[tuple[str, object], tuple[float, Callable[[], object]]] = {}
        for rows, inner, columns in SHAPES:
            a = rng.standard_normal((rows, inner)).astype(dtype)
            b = rng.standard_normal((inner, columns)).astype(dtype)
            out = np.empty((rows, columns), dtype)
            self._add("gemm", (rows, inner, columns), 2.0 * rows * inner * columns, _product(a, b, out))
        x = rng.standard_normal(_ELEMENTS).astype(dtype)
        for name, function in _FUNCTIONS.items():
            self._add("transcendental", name, _ELEMENTS, _applied(function, x, np.empty_like(x)))
        for size in working_sets:  # a copy reads half of it and writes the other half
            both = np.ones(size + _APART, np.uint8)
            source, out = both[: size // 2], both[size // 2 + _APART :]
            self._add("bandwidth", size, float(size), _copied(source, out))
        self._rates: dict[tuple[str, object], list[float]] = {key: [] for key in self._probes}

    def _add(self, kind: str, name: object, amount: float, function: Callable[[], object]) -> None:
        self._probes[kind, name] = amount, function

    @property
    def contestant(self) -> Contestant:
        """One look at every rate; the seconds that it takes mean nothing."""

        def look() -> float:
            began = time.perf_counter()
            for key, (amount, function) in self._probes.items():
                self._rates[key].append(amount / self._time(function))
            return time.perf_counter() - began

        return look

    def _time(self, function: Callable[[], object]) -> float:
        """Seconds of one call, over as many as fit."""
        function()
        began, calls = time.perf_counter(), 0
        while True:
            function()
            calls += 1
            passed = time.perf_counter() - began
            if passed > self._seconds:
                return passed / calls

    def rates(self) -> Rates:
        """Medians over the looks; the best over shapes, and over functions."""
        found = {key: median(values) for key, values in self._rates.items()}

        def best(kind: str) -> float:
            return max(rate for (of, _), rate in found.items() if of == kind)

        sizes = {int(str(name)): rate for (of, name), rate in found.items() if of == "bandwidth"}
        return Rates(best("gemm"), best("transcendental"), sizes)


def _product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], object]:
    return lambda: np.matmul(a, b, out=out)


def _applied(function: Callable[..., object], x: np.ndarray, out: np.ndarray) -> Callable[[], object]:
    return lambda: function(x, out=out)


def _copied(source: np.ndarray, out: np.ndarray) -> Callable[[], object]:
    return lambda: np.copyto(out, source)
