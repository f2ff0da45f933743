"""Chance levels of the long-lag tasks: the exact loss of the best predictor that remembers nothing.

The value is an expectation over the task's own law, enumerated: its sequences are made by the task from every
outcome that counts (Gauss–Legendre nodes for uniform values: exact for polynomials), never drawn. For classes a
predictor without memory knows the step and the present input, and loses the entropy of the label given these.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .. import tasks
from ..measure import measure
from ..points import Point
from .base import Finding, absolute, relative


def adding() -> Finding:
    """Sum of two U[0, 1]: the mean predictor's squared error is 2 · 1/12."""
    return absolute(_variance("sum", [(5, 30)]), 1 / 6, 1e-14)


def adding_half() -> Finding:
    """Half of it: 1/24."""
    return absolute(_variance("half", [(5, 30)]), 1 / 24, 1e-14)


def adding_1997() -> Finding:
    """.5 + (X_1 + X_2)/4 with U[−1, 1] is 1/24 too, where the first pair is not marked."""
    return absolute(_variance("1997", [(5, 30)]), 1 / 24, 1e-14)


def adding_1997_first_pair() -> Finding:
    """In one sequence of ten the first pair is marked and counts as zero: (1/3 + 9/10 · 1/3)/16 = 19/480 in all."""
    return absolute(_variance("1997", [(first, 30) for first in range(10)]), 19 / 480, 1e-14)


def _variance(form: str, marks: list[tuple[int, int]]) -> float:
    """Variance of the target over values at Gauss–Legendre nodes and over equally likely marks."""
    rule = tasks.ADDING[form]
    nodes, weights = np.polynomial.legendre.leggauss(4)
    nodes = (rule.low + rule.high) / 2 + (rule.high - rule.low) / 2 * nodes
    pairs = list(product(range(4), repeat=2))
    mean = square = 0.0
    for first, second in marks:
        values = np.full((64, len(pairs)), (rule.low + rule.high) / 3)
        values[first] = nodes[[i for i, _ in pairs]]
        values[second] = nodes[[j for _, j in pairs]]
        places = np.repeat([[first], [second]], len(pairs), axis=1)
        made = tasks.adding_sequences(values, places, form)
        share = np.array([weights[i] * weights[j] / 4 for i, j in pairs]) / len(marks)
        target = made.labels[made.mask][-1, :, 0]
        mean, square = mean + share @ target, square + share @ target**2
    return float(square - mean**2)


def copy() -> Finding:
    """Ten of T + 20 steps want one of eight symbols: 10 ln 8/(T + 20) a step. Each label depends on one symbol of
    the message at most, so the eight messages of one symbol each have its law at every step."""
    delay = 100
    made = tasks.copy_sequences(np.tile(np.arange(8), (10, 1)), delay)
    return relative(_conditional_entropy(made), 10 * math.log(8) / (delay + 20), 1e-14)


def parity() -> Finding:
    """Every string of 12 bits: the last bit alone says nothing of the parity, ln 2."""
    bits = np.array(list(product((0, 1), repeat=12))).T
    return relative(_conditional_entropy(tasks.parity_sequences(bits)), math.log(2), 1e-14)


def long_lag() -> Finding:
    """Either of two sequences of p + 1 symbols: all but the last follow from the one before, ln 2/p a step."""
    p = 100
    made = tasks.long_lag_sequences(np.array([0, 1]), p)
    return relative(_conditional_entropy(made), math.log(2) / p, 1e-14)


def _conditional_entropy(made: tasks.Sequences) -> float:
    """Mean over the steps with a loss of the entropy of the label given step and input; columns equally likely."""
    total = 0.0
    for x, labels in zip(made.inputs[made.mask], made.labels[made.mask], strict=True):
        seen: dict[bytes, Counter[int]] = defaultdict(Counter)
        for column, label in zip(x, labels, strict=True):
            seen[column.tobytes()][int(label)] += 1
        total += sum(_entropy(counts) for counts in seen.values()) / len(labels)
    return total / int(made.mask.sum())


def _entropy(counts: Counter[int]) -> float:
    """Σ n ln(N/n): N times the entropy of shares n/N."""
    N = counts.total()
    return sum(n * math.log(N / n) for n in counts.values())


def drawn_adding() -> Finding:
    """What is drawn follows the law: variance of 40,000 drawn targets of the adding problem of 1997, four sd of
    the mean square of a sum of uniforms."""
    made = tasks.adding(np.random.default_rng(0), 100, 40_000, "1997")
    target: NDArray[np.float64] = made.labels[-1, :, 0]
    return relative(float(target.var()), 19 / 480, 4 * math.sqrt(1.4 / 40_000))


def blind_network() -> Finding:
    """The engine's loss of a network that reads nothing (V = 0) is the chance of its loss: ln K at each of T steps,
    and half the mean square of the targets."""
    point = Point(loss="cross_entropy", length=40, output_size=10, loss_times="every")
    blind = {"V": np.zeros((10, 64)), "d": np.zeros(10)}
    value = measure(point, parameters=blind, probes=["gradients"]).column("loss_value").to_pylist()[0]
    return relative(value, 40 * math.log(10), 1e-13)
