"""Arrays that are used again: a fresh one costs the processor's cache, and the system clears its pages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import aligned


class Room:
    """Lends arrays and takes them back. What it lends has whatever was left in it. Not for several threads."""

    def __init__(self) -> None:
        self._own: dict[int, NDArray[np.uint8]] = {}
        self._free: list[NDArray[np.uint8]] = []

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> NDArray[Any]:
        """A contiguous array at the start of a cache line, in the smallest piece of memory that holds it."""
        size = math.prod(shape) * dtype.itemsize
        fitting = [piece for piece in self._free if piece.size >= size]
        if fitting:
            piece = min(fitting, key=len)
            self._free = [other for other in self._free if other is not piece]
        else:
            if self._free:  # in place of the largest that is too small
                self._drop(max(self._free, key=len))
            piece = aligned.empty((size,), np.dtype(np.uint8))
            self._own[id(piece.base)] = piece
        return piece[:size].view(dtype).reshape(shape)

    def _drop(self, piece: NDArray[np.uint8]) -> None:
        self._free = [other for other in self._free if other is not piece]
        del self._own[id(piece.base)]

    def give(self, *arrays: NDArray[Any]) -> None:
        """Take back what was lent, once nobody looks at it any more; any other array is left alone."""
        for array in arrays:
            if id(array.base) in self._own:
                self._free.append(self._own[id(array.base)])
