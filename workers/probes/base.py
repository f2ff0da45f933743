"""What a probe is: named columns with unit and source, and a function from a finished stack to their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..adjoint import Backward
from ..cells import Cell
from ..outputs import Outputs
from ..stack import Stack
from ..tape import Tape


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
    """A stack after both sweeps. ``nominal`` is γ_nominal (P,); ``own_inputs`` tells whose inputs are the caller's;
    ``shared`` is what several probes need, by name."""

    stack: Stack
    tape: Tape
    outputs: Outputs
    backward: Backward
    nominal: NDArray[np.float64]
    own_inputs: Sequence[bool]
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """How many batch columns the probes of Jacobians look at: the first four, or what there is."""
        return min(self.stack.inputs.shape[2], JACOBIAN_COLUMNS)


JACOBIAN_COLUMNS = 4
NONLINEAR_DOWN = 2.5
"""Elements that the derivative of a nonlinearity counts, in ``Work``."""

Values = Mapping[str, NDArray[Any]]
"""Column name -> one value, or one list (P, n), a point; NaN in a scalar column becomes null."""


class Sizes(NamedTuple):
    """The sizes of a point: steps, columns, units, inputs, outputs, loss times, net-input blocks, state blocks;
    ``recurrent`` net-input blocks have an (N, N) matrix, ``nonlinear`` functions of a unit are in one step."""

    T: int
    B: int
    N: int
    M: int
    K: int
    R: int
    G: int
    components: int
    recurrent: int
    nonlinear: int

    @property
    def S(self) -> int:
        """Width of the state."""
        return self.components * self.N

    @property
    def columns(self) -> int:
        """Batch columns of the probes of Jacobians."""
        return min(self.B, JACOBIAN_COLUMNS)

    def down(self, rows: float, columns: int) -> Work:
        """Taking a bundle of so many rows a column down the whole tape."""
        flops = 2.0 * self.N * self.N * self.recurrent * rows * columns * self.T
        each = (self.G + self.components) * (0.6 + 0.24 * rows) + NONLINEAR_DOWN * self.nonlinear
        elements = self.T * columns * self.N * each
        return Work(flops, elements, self.T)


@dataclass(frozen=True)
class Work:
    """What something costs a point: floating-point operations in products, elements through a nonlinearity,
    steps of NumPy calls (shared by a stack), factorisations of (S, S) matrices; bytes that come and go, at their
    peak, and bytes ``kept`` to the end."""

    flops: float = 0.0
    elements: float = 0.0
    steps: float = 0.0
    factorisations: float = 0.0
    bytes: float = 0.0
    kept: float = 0.0


@dataclass(frozen=True)
class Probe:
    """A measured quantity or a family of them.

    ``cost`` is what it costs beside the two sweeps. ``lacking`` says why a cell cannot have it, None where it can.
    ``of_gradient`` probes need the gradients of the loss, ``of_adjoint`` ones the norms of the adjoints; where
    none is asked for they are not computed.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    measure: Callable[[Swept], Values]
    cost: Callable[[Sizes], Work]
    lacking: Callable[[type[Cell]], str | None] = lambda cell: None
    of_gradient: bool = False
    of_adjoint: bool = False


def grid(last: int) -> NDArray[np.int64]:
    """Lags (or steps) at which curves are kept: all to 1,024, then 64 a decade, and the last."""
    dense = np.arange(min(last, 1024) + 1)
    if last <= 1024:
        return dense
    j = np.arange(int(64 * np.log10(1024)), int(64 * np.log10(last)) + 1)
    sparse = np.rint(10 ** (j / 64)).astype(np.int64)
    return np.unique(np.concatenate([dense, sparse[(sparse > 1024) & (sparse <= last)], [last]]))
