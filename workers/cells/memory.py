"""The memory cell: c_t = a c_{t−1} + W g(x_t), h_t = tanh(c_t). The state is c."""

from typing import Any

import numpy as np

from ..activations import ACTIVATIONS
from .base import Array, Shifts, Steps
from .linear import Linear


class Memory(Linear):
    """The third remedy: a linear loop read through tanh. γ = a on the path of c, and γ^ℓ is exact there.

    What shrinks is the read-out factor 1 − tanh²(c_t): it collapses with the time t at which the loss stands,
    not with the lag. That is the limited capacity of the network.
    """

    name = "memory"
    label = "memory cell"

    def read_out(self, state: Array) -> Array:
        return np.tanh(np.ascontiguousarray(state[0]))

    def read_out_adjoint(self, state: Array, signal: Array) -> tuple[Array, Shifts]:
        D, shift = ACTIVATIONS["tanh"].factor(np.ascontiguousarray(state[0]))
        return (signal * D)[None], shift

    def squashed(self, steps: Steps) -> tuple[Any, Array]:
        return ACTIVATIONS["tanh"], steps.states[1:, 0]
