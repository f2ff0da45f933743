"""Boxes: points as a product of values, and how many there are where several boxes overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Box = dict[str, tuple[Any, ...]]
"""For every parameter its values: one where it is fixed, None where the cell lacks it."""


def volume(box: Box) -> int:
    return math.prod(map(len, box.values()))


def meet(a: Box, b: Box) -> Box | None:
    """The points that are in both boxes, which are a box again; None where there is none."""
    both: Box = {}
    for name, values in a.items():
        other = b[name]
        if values is not other and values != other:
            keep = frozenset(other)
            values = tuple(value for value in values if value in keep)
            if not values:
                return None
        both[name] = values
    return both


def union(boxes: Sequence[Box]) -> int:
    """How many points there are in the union of boxes, by inclusion and exclusion, one box at a time."""
    if not boxes:
        return 0
    first, rest = boxes[0], boxes[1:]
    shared: list[Box] = []
    for box in rest:
        if (both := meet(first, box)) is not None and both not in shared:
            shared.append(both)
    return volume(first) + union(rest) - union(shared)
