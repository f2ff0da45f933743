"""The read-out of a trained network: the linear layer through which the loss reads its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InvalidPoint
from ..points import Point
from ..stack import make_cell
from .files import plain
from .naming import Array, found, matrix, of_shape
from .naming import Layer as Blocks


def read_outs(named: Mapping[str, Any], last: Blocks, readout: str | None) -> list[dict[str, Array]]:
    """V (K, N) and d (K,) of each direction of the last layer, or nothing where they are to be drawn.

    ``readout`` is the prefix of a linear layer among the weights. Raises InvalidPoint where there is none such, or
    its shapes contradict the layer's.
    """
    N, own = last[0].arrays["W"].shape[0], {n: last[0].arrays[n] for n in ("V", "d") if n in last[0].arrays}
    N //= len(make_cell(Point(cell=last[0].cell)).gates)
    if own and readout is not None:
        raise InvalidPoint(f"readout = {readout!r}: these weights have a V of their own; leave readout out")
    if own:
        return [{"d": np.zeros(len(own["V"])), **own}]
    if readout is None:
        return [{} for _ in last]
    where, width = readout.rstrip(".").removesuffix(".weight"), len(last) * N
    behind = [name for name in named if name.endswith(f".{where}.weight")]
    if f"{where}.weight" not in named and len(behind) == 1:
        where = behind[0].removesuffix(".weight")
    if f"{where}.weight" not in named:
        raise InvalidPoint(f"there is no {where}.weight{fitting(named, width) or '; ' + found(named)}")
    V = matrix(named, f"{where}.weight", "is the read-out")
    of_shape(f"{where}.weight", V, ("K", width), f"after {width} hidden units")
    d = plain(f"{where}.bias", named[f"{where}.bias"]) if f"{where}.bias" in named else np.zeros(len(V))
    of_shape(f"{where}.bias", d, (len(V),), f"beside {where}.weight {V.shape}")
    return [{"V": np.ascontiguousarray(V[:, j * N : (j + 1) * N]), "d": d} for j in range(len(last))]


def fitting(named: Mapping[str, Any], width: int) -> str:
    """The linear layers that could be the read-out, for a hint; or nothing."""
    names = [
        f"{name.removesuffix('.weight')} {shape}"
        for name, value in named.items()
        if name.endswith(".weight") and len(shape := tuple(np.shape(value))) == 2 and shape[1] == width
    ]
    return f"; readout can be {' or '.join(names)}" if names else ""
