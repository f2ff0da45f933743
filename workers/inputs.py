"""Driving sequences and labels, time-major, so that a longer sequence begins with the shorter one."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .streams import drawn
from .weights import standard_normal


def _gaussian(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return standard_normal(seed, "inputs", shape)


def _uniform(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    edge = np.sqrt(3.0)
    what, numbers = ("uniform", shape), math.prod(shape)
    return drawn(seed, ("inputs",), what, numbers, lambda source: source.uniform(-edge, edge, shape))


def _impulse(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    x = np.zeros(shape)
    x[0] = standard_normal(seed, "inputs", (1, *shape[1:]))[0]
    return x


def _zero(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.zeros(shape)


INPUTS: dict[str, Callable[[int, tuple[int, int, int]], NDArray[np.float64]]] = {
    "gaussian": _gaussian,  # N(0, 1)
    "uniform": _uniform,  # mean 0, standard deviation 1
    "impulse": _impulse,  # N(0, 1) at step 1, zero after
    "zero": _zero,
}
"""Law of the inputs at input_scale 1: (seed, (T, B, M)) -> (T, B, M)."""


def _normal_targets(seed: int, T: int, B: int, K: int) -> NDArray[np.float64]:
    return standard_normal(seed, "targets", (T, B, K))


def _class_targets(seed: int, T: int, B: int, K: int) -> NDArray[np.int64]:
    what = ("class", K, T, B)
    return drawn(seed, ("targets",), what, T * B, lambda source: source.integers(0, K, (T, B)))


TARGETS: dict[str, Callable[[int, int, int, int], NDArray]] = {
    "gaussian": _normal_targets,  # (T, B, K) ~ N(0, 1)
    "class": _class_targets,  # (T, B), uniform on 0 … K−1
}
"""Law of the labels, one at every step: (seed, T, B, K) -> array."""
