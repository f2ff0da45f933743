"""longlag's own names: U, W, b, … as the reference page has them for each cell, without a prefix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..cells import CELLS
from ..errors import InvalidPoint
from ..points import PARAMETERS
from .files import plain
from .naming import Block, Layer, Scheme, found, matrix, of_shape

_OPTIONAL = ("V", "d", "b_u")
"""Arrays that trained weights may lack: a read-out that is drawn, a second bias that is zero."""


def _read(named: Mapping[str, Any], prefix: str, cell: str | None) -> list[Layer]:
    """The one cell of these names; their order of gates is ours already."""
    if cell is None:
        raise InvalidPoint(
            f"arrays of our own names belong to several cells: give cell, one of {', '.join(CELLS)}"
        )
    kind = CELLS[PARAMETERS["cell"].check(cell)]
    W = matrix(named, "W", "multiplies the inputs")
    N, left = divmod(W.shape[0], len(kind.gates))
    if left or not N:
        blocks = f"{len(kind.gates)} blocks ({', '.join(kind.gates)})"
        raise InvalidPoint(f"W has shape {W.shape}: the {cell} cell has {blocks} of N rows each")
    K = matrix(named, "V", "is the read-out").shape[0] if "V" in named or "d" in named else 1
    shapes, arrays = _shapes(cell, N, W.shape[1], K), {}
    for name in named:
        if name not in shapes and (others := [c for c in CELLS if name in _shapes(c, N, 1, 1)]):
            raise InvalidPoint(
                f"the {cell} cell has no array {name!r}; cells that have it: {', '.join(others)}"
            )
    for name, shape in shapes.items():
        if name in named:
            why = f"beside W {W.shape} in the {cell} cell"
            arrays[name] = of_shape(name, plain(name, named[name]), shape, why)
        elif name not in _OPTIONAL:
            raise InvalidPoint(f"there is no {name}, which the {cell} cell has; {found(named)}")
    return [(Block(cell, arrays, "W"),)]


def _shapes(cell: str, N: int, M: int, K: int) -> dict[str, tuple[int, ...]]:
    """Shapes of all arrays that a cell can have, whatever its conventions."""
    kind = CELLS[cell](reset="after")
    return kind.shapes(N, M, K) | kind.optional(N, M, K)


def _prefixes(names: Iterable[str]) -> list[str]:
    """There is one place for them: no prefix, where W is and is not another module's own array beside an RNN."""
    there = set(names)
    return [""] if "W" in there and not any("weight_hh" in name for name in there) else []


OWN = Scheme("longlag's own", "U, W, b, … (our own)", _prefixes, _read)
