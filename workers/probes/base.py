"""What a probe is: named columns with unit and source, and a function from a finished stack to their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adjoint import Backward
from ..outputs import Outputs
from ..tape import Stack, Tape


@dataclass(frozen=True)
class Column:
    """One measured quantity: its name in files and in SQL, its Arrow type, unit, meaning and source."""

    name: str
    type: str
    unit: str
    doc: str
    source: str = ""


@dataclass(frozen=True)
class Swept:
    """A stack after both sweeps. ``nominal`` is γ_nominal (P,)."""

    stack: Stack
    tape: Tape
    outputs: Outputs
    backward: Backward
    nominal: NDArray[np.float64]


Values = Mapping[str, NDArray[Any]]
"""Column name -> one value, or one list (P, n), a point; NaN in a scalar column becomes null."""


@dataclass(frozen=True)
class Probe:
    """A measured quantity or a family of them. ``cost`` is its share of the time of the two sweeps."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    measure: Callable[[Swept], Values]
    cost: float


def grid(last: int) -> NDArray[np.int64]:
    """Lags (or steps) at which curves are kept: all to 1,024, then 64 a decade, and the last."""
    dense = np.arange(min(last, 1024) + 1)
    if last <= 1024:
        return dense
    j = np.arange(int(64 * np.log10(1024)), int(64 * np.log10(last)) + 1)
    sparse = np.rint(10 ** (j / 64)).astype(np.int64)
    return np.unique(np.concatenate([dense, sparse[(sparse > 1024) & (sparse <= last)], [last]]))
