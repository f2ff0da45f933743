"""Long-lag tasks: sequences whose label needs what came many steps before.

Each task is a law and a function from what the law draws (values, marks, symbols, bits) to sequences, so that its
chance level is an exact expectation over the law (``checks``). T steps, B columns, M inputs, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """``inputs`` (T, B, M); ``labels`` (T, B, K), or classes (T, B); ``mask`` (T,): the steps that have a loss."""

    inputs: Float
    labels: NDArray
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Adding:
    """A form of the adding problem: values U[low, high], and the target from the two marked ones."""

    low: float
    high: float
    target: Callable[[Float, Float], Float]
    framed: bool = False
    """The first and the last pair have the marker −1, and a value marked in the first pair counts as zero."""


ADDING = {
    "sum": Adding(0.0, 1.0, lambda first, second: first + second),  # Arjovsky, Shah & Bengio 2016
    "half": Adding(0.0, 1.0, lambda first, second: (first + second) / 2),
    "1997": Adding(-1.0, 1.0, lambda first, second: 0.5 + (first + second) / 4, framed=True),
}
"""Hochreiter & Schmidhuber (1997) scale the sum into [0, 1]; a mean squared error is told by its form alone."""


def adding_sequences(values: Float, marks: Ints, form: str) -> Sequences:
    """Pairs of a value and a marker; at the end the target is made of the two values that are marked with 1.

    ``values`` (T, B); ``marks`` (2, B), the two places from 0. Inputs (T, B, 2), labels (T, B, 1).
    """
    rule, (T, B) = ADDING[form], values.shape
    columns = np.arange(B)
    values, markers = values.copy(), np.zeros((T, B))
    if rule.framed:
        markers[[0, -1]] = -1.0
        values[0] = np.where(marks[0] == 0, 0.0, values[0])
    markers[marks, columns] = 1.0
    target = rule.target(values[marks[0], columns], values[marks[1], columns])
    return Sequences(
        np.stack([values, markers], axis=-1), np.broadcast_to(target[:, None], (T, B, 1)), _last(T)
    )


def adding(rng: np.random.Generator, T: int, B: int, form: str = "sum") -> Sequences:
    """Values and marks as the form's authors draw them: one mark a half, or, in 1997, one of the first ten
    pairs and another of the first T/2 − 1. Raises ValueError below T = 4 (1997: 24)."""
    least = 24 if form == "1997" else 4
    if least > T:
        raise ValueError(
            f"T = {T}: the adding problem of form {form!r} needs more steps; give at least {least}"
        )
    rule = ADDING[form]
    values = rng.uniform(rule.low, rule.high, (T, B))
    if form == "1997":
        first = rng.integers(0, 10, B)
        second = rng.integers(0, T // 2 - 2, B)
        second += second >= first  # one of the others, each as likely
    else:
        first, second = rng.integers(0, T // 2, B), rng.integers(T // 2, T, B)
    return adding_sequences(values, np.stack([first, second]), form)


SYMBOLS, REMEMBERED = 8, 10


def copy_sequences(message: Ints, delay: int) -> Sequences:
    """Ten symbols, blanks, a sign to speak, and the ten symbols again (Arjovsky, Shah & Bengio 2016).

    ``message`` (10, B) of 0 … 7; 8 is the blank, 9 the sign. T = delay + 20; inputs (T, B, 10), classes (T, B).
    """
    B, T = message.shape[1], delay + 2 * REMEMBERED
    shown, wanted = np.full((T, B), SYMBOLS), np.full((T, B), SYMBOLS)
    shown[:REMEMBERED] = message
    shown[-REMEMBERED - 1] = SYMBOLS + 1
    wanted[-REMEMBERED:] = message
    return Sequences(np.eye(SYMBOLS + 2)[shown], wanted, np.ones(T, np.bool_))


def copy(rng: np.random.Generator, delay: int, B: int) -> Sequences:
    """Uniform messages; the delay is from the last symbol to the first one wanted. Raises ValueError below 1."""
    if delay < 1:
        raise ValueError(f"delay = {delay}: the copy task needs room for its sign; give at least 1")
    return copy_sequences(rng.integers(0, SYMBOLS, (REMEMBERED, B)), delay)


def parity_sequences(bits: Ints) -> Sequences:
    """Whether the number of ones is odd, told at the end: bits (T, B) -> inputs (T, B, 1), classes (T, B)."""
    T = len(bits)
    odd = np.cumsum(bits, axis=0) % 2
    return Sequences(bits[..., None].astype(np.float64), np.broadcast_to(odd[-1], bits.shape), _last(T))


def parity(rng: np.random.Generator, T: int, B: int) -> Sequences:
    """Fair bits."""
    return parity_sequences(rng.integers(0, 2, (T, B)))


def long_lag_sequences(first: Ints, p: int) -> Sequences:
    """Experiment 2a of Hochreiter & Schmidhuber (1997): (x, a_1 … a_{p−1}, x) or (y, a_1 … a_{p−1}, y).

    ``first`` (B,) is 0 for x and 1 for y. The next symbol is wanted at each of the T = p steps: a_1 … a_{p−1},
    then the first symbol again. Inputs (T, B, p + 1), one for a symbol; classes (T, B); x is p − 1 and y is p.
    """
    middle = np.broadcast_to(np.arange(p - 1)[:, None], (p - 1, len(first)))
    ends = (first + p - 1)[None]
    return Sequences(
        np.eye(p + 1)[np.concatenate([ends, middle])], np.concatenate([middle, ends]), np.ones(p, np.bool_)
    )


def long_lag(rng: np.random.Generator, p: int, B: int) -> Sequences:
    """Either sequence with probability one half."""
    return long_lag_sequences(rng.integers(0, 2, B), p)


def _last(T: int) -> NDArray[np.bool_]:
    return np.arange(T) == T - 1


TASKS: dict[str, Callable[[np.random.Generator, int, int], Sequences]] = {
    "adding": adding,
    "copy": copy,
    "parity": parity,
    "long_lag": long_lag,
}
"""(generator, T or delay or p, B) -> sequences."""
