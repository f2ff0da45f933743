"""Arrays whose first element is at the start of a cache line.

NumPy aligns its memory to 16 bytes. A vector of 64 bytes then lies across two lines, in every load and store of a
product or a function element by element.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LINE = 64
_kept = threading.local()


def empty(shape: tuple[int, ...], dtype: np.dtype) -> NDArray[Any]:
    """A contiguous array with whatever is in it."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def scratch(use: str, like: NDArray[Any]) -> NDArray[Any]:
    """A contiguous array of the same shape and type for the moment: the same memory whenever a thread asks for it
    for this use."""
    memory, array = getattr(_kept, use, (None, None))
    if array is not None and array.shape == like.shape and array.dtype == like.dtype:
        return array
    if memory is None or memory.size < like.nbytes:
        memory = empty((like.nbytes,), np.dtype(np.uint8))
    array = memory[: like.nbytes].view(like.dtype).reshape(like.shape)
    setattr(_kept, use, (memory, array))
    return array


def copy(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy."""
    result = empty(array.shape, array.dtype)
    result[...] = array
    return result
