"""How frameworks name the arrays of a recurrent network: a scheme each, and what it reads into our arrays.

A scheme finds its names behind any prefix (``encoder.rnn.``) and gives the network as layers of one direction or
two, each with the arrays of our cell. A new scheme is one file, and one line in ``SCHEMES`` of ``network``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPoint
from .files import plain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """One cell of a network as a scheme has read it: our cell and arrays, and parameters that the scheme settles.

    ``source`` is the name of an array that it comes from, for messages.
    """

    cell: str
    arrays: dict[str, Array]
    source: str
    settled: dict[str, Any] = field(default_factory=dict)


Layer = tuple[Block, ...]
"""The cells that read one sequence: one, or a second one that reads it backwards."""


@dataclass(frozen=True)
class Scheme:
    """One way to name arrays. ``prefixes`` says where in these names it finds a network; ``read`` reads the one
    behind a prefix: (named arrays, prefix, cell or None) -> layers."""

    name: str
    looked_for: str
    prefixes: Callable[[Iterable[str]], list[str]]
    read: Callable[[Mapping[str, Any], str, str | None], list[Layer]]


def matrix(named: Mapping[str, Any], name: str, why: str) -> Array:
    """A matrix by its name. Raises InvalidPoint where it is absent, no matrix, empty or not finite."""
    if name not in named:
        raise InvalidPoint(f"there is no {name}, which {why}; {found(named)}")
    array = plain(name, named[name])
    if array.ndim != 2 or 0 in array.shape:
        raise InvalidPoint(f"{name} has shape {array.shape}: it has to be a matrix")
    return array


def of_shape(what: str, array: Array, shape: Sequence[object], why: str) -> Array:
    """The array, if it has this shape (a str stands for any size). Raises InvalidPoint."""
    wanted = tuple(shape)
    fits = len(wanted) == array.ndim and all(
        isinstance(size, str) or size == own for size, own in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        sizes = ", ".join(map(str, wanted)) + ("," if len(wanted) == 1 else "")
        raise InvalidPoint(f"{what} has shape {array.shape}: {why} it needs ({sizes})")
    return array


def found(named: Iterable[str]) -> str:
    """What there is, for the end of a message: the first names."""
    names = list(named)
    if not names:
        return "there is no array at all"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"found: {', '.join(names[:_SHOWN])}{more}"


_SHOWN = 8
