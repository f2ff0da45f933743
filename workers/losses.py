"""The losses ℓ(y, ŷ): a table; a third one is one more entry.

``value`` and ``gradient`` take ŷ (…, K) and labels ((…, K) or classes (…)), and return ℓ (…) and ∂ℓ/∂ŷ (…, K).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Loss:
    """One loss of a step and column; ``target`` names the law of labels that it needs."""

    name: str
    target: str
    value: Callable[[Array, NDArray], Array]
    gradient: Callable[[Array, NDArray], Array]


def _half_square(outputs: Array, labels: NDArray) -> Array:
    """½ ‖ŷ − y‖²."""
    error = outputs - labels
    return (error * error).sum(axis=-1) / 2


def _difference(outputs: Array, labels: NDArray) -> Array:
    return outputs - labels


def _negative_ln_softmax(outputs: Array, labels: NDArray) -> Array:
    """−ln softmax(ŷ)[y], shifted by the largest output so that no exponential overflows."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, labels[..., None], axis=-1)[..., 0]
    return np.log(np.exp(shifted).sum(axis=-1)) - chosen


def _softmax_minus_one_hot(outputs: Array, labels: NDArray) -> Array:
    """softmax(ŷ) − e_y; the entry of y is minus the sum of the others, which keeps its digits near 1."""
    p = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    np.put_along_axis(p, labels[..., None], 0, axis=-1)
    rest = -p.sum(axis=-1, keepdims=True)
    np.put_along_axis(p, labels[..., None], rest, axis=-1)
    return p


LOSSES: dict[str, Loss] = {
    "squared": Loss("squared", "gaussian", _half_square, _difference),
    "cross_entropy": Loss("cross_entropy", "class", _negative_ln_softmax, _softmax_minus_one_hot),
}
