"""Read-out and loss at the loss times: outputs, loss, and the signal that the backward sweep starts from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scale import Array, Exponents, rescaled
from .stack import Stack
from .tape import Tape


@dataclass(frozen=True)
class Outputs:
    """At the R loss times: hidden h (P, R, B, N), outputs ŷ (P, R, B, K), losses ℓ (P, R, B), and
    error = ∂ℓ/∂ŷ (P, R, B, K), signal = ∂ℓ/∂h (P, R, B, N), both times two to the power exponent (P, R, B)."""

    hidden: Array
    outputs: Array
    losses: Array
    error: Array
    signal: Array
    exponent: Exponents

    def loss_value(self) -> NDArray[np.float64]:
        """L = Σ_t of the mean over the batch, (P,)."""
        return self.losses.astype(np.float64).mean(axis=-1).sum(axis=-1)


def read(stack: Stack, tape: Tape) -> Outputs:
    """Outputs and error signals of a stack at its loss times."""
    states = np.ascontiguousarray(
        tape.at(stack.loss_times).transpose(1, 2, 0, 3, 4)
    )  # (components, P, R, B, N)
    hidden = np.ascontiguousarray(stack.cell.read_out(states))
    outputs = project(stack, hidden)
    error = stack.loss.gradient(outputs, stack.labels)
    large = 2.0**40 if error.dtype == np.float32 else 2.0**400
    unsafe = ~(np.abs(error).max(axis=-1) < large)
    error, exponent = rescaled(error[None], unsafe)
    P, R, B, N = hidden.shape
    signal = np.matmul(error[0].reshape(P, R * B, -1), stack.weights.V).reshape(P, R, B, N)
    return Outputs(hidden, outputs, stack.loss.value(outputs, stack.labels), error[0], signal, exponent)


def project(stack: Stack, hidden: Array) -> Array:
    """ŷ = V h + d: (P, R, B, N) -> (P, R, B, K)."""
    P, R, B, N = hidden.shape
    product = np.matmul(hidden.reshape(P, R * B, N), stack.weights.V.swapaxes(-1, -2))
    return (product + stack.weights.d).reshape(P, R, B, -1)
