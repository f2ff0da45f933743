"""Arrays that are used again: a fresh one costs the processor's cache, and the system clears its pages."""

from __future__ import annotations

import math

import numpy as np

from .cells.base import Array


class Room:
    """Lends arrays of one dtype and takes them back. What it lends has whatever was left in it."""

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype = dtype
        self._own: dict[int, Array] = {}
        self._free: list[Array] = []

    def take(self, *shape: int) -> Array:
        """An array of this shape, contiguous."""
        size = math.prod(shape)
        for i, flat in enumerate(self._free):
            if len(flat) >= size:
                return self._free.pop(i)[:size].reshape(shape)
        flat = np.empty(size, self._dtype)
        self._own[id(flat)] = flat
        return flat[:size].reshape(shape)

    def give(self, array: Array) -> None:
        """Take back what was lent; any other array is left alone."""
        if id(array.base) in self._own:
            self._free.append(self._own[id(array.base)])
