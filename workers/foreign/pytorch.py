"""The names of PyTorch's RNN, LSTM and GRU modules and of their single-step cells, as a ``state_dict`` has them.

The equations are those of the documentation of torch.nn.RNN, LSTM and GRU (2.x). Rows of ``weight_hh`` stand gate
by gate: i, f, g, o for the LSTM, r, z, n for the GRU; ours are i, f, o, c and k, r, n with k = z. Of the two
biases only the GRU's b_hn acts by itself, since the reset gate multiplies it: ours is b_u; else both are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidPoint, nearest
from .files import plain
from .naming import Array, Block, Layer, Scheme, matrix, of_shape

_LAYERED = re.compile(r"(.*?)weight_(?:ih|hh|hr)_l(\d+)(_reverse)?$")
_SINGLE = re.compile(r"(.*?)weight_(?:ih|hh)$")


@dataclass(frozen=True)
class _Order:
    """One of our cells in PyTorch's order: ``rows[g]`` is the place of our block g among its blocks."""

    cell: str
    rows: tuple[int, ...]
    settled: dict[str, Any]


_ORDERS = {
    1: _Order("simple", (0,), {}),
    3: _Order("gru", (1, 0, 2), {"reset": "after"}),
    4: _Order("lstm", (0, 1, 3, 2), {}),
}
"""By the number of blocks in weight_hh."""


def _read_layers(named: Mapping[str, Any], prefix: str, cell: str | None) -> list[Layer]:
    """Layers 0, 1, … of an RNN, LSTM or GRU module, each with its reverse direction where there is one."""
    there = [m for name in named if (m := _LAYERED.match(name)) and m[1] == prefix]
    if projected := [m[0] for m in there if "weight_hr" in m[0]]:
        raise InvalidPoint(f"{projected[0]}: an LSTM with proj_size is not among our cells; give one without")
    count, both = 1 + max(int(m[2]) for m in there), any(m[3] for m in there)
    ends = ("", "_reverse") if both else ("",)
    return [tuple(_block(named, prefix, f"_l{i}{end}", cell) for end in ends) for i in range(count)]


def _read_cell(named: Mapping[str, Any], prefix: str, cell: str | None) -> list[Layer]:
    """The one layer of an RNNCell, LSTMCell or GRUCell."""
    return [(_block(named, prefix, "", cell),)]


def _block(named: Mapping[str, Any], prefix: str, end: str, cell: str | None) -> Block:
    """The cell whose arrays are called ``<prefix>weight_ih<end>`` and so on."""
    names = [f"{prefix}{kind}{end}" for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")]
    U = matrix(named, names[0], "is the recurrent matrix")
    order, N = _order(names[0], U, cell), U.shape[1]
    rows = len(order.rows) * N
    beside = f"beside {names[0]} {U.shape}"
    W = of_shape(names[1], matrix(named, names[1], "multiplies the inputs"), (rows, "M"), beside)
    b_ih, b_hh = (
        of_shape(name, plain(name, named[name]), (rows,), beside) if name in named else np.zeros(rows)
        for name in names[2:]
    )
    arrays = {name: _reordered(a, order.rows, N) for name, a in (("U", U), ("W", W), ("b", b_ih + b_hh))}
    if order.cell == "gru":
        arrays["b"][2 * N :] = b_ih[2 * N :]
        if b_hh[2 * N :].any():
            arrays["b_u"] = b_hh[2 * N :].copy()
    return Block(order.cell, arrays, names[0], order.settled)


def _order(name: str, U: Array, cell: str | None) -> _Order:
    """Which of our cells a recurrent matrix belongs to, by its number of blocks. Raises InvalidPoint."""
    N, known = U.shape[1], {order.cell: count for count, order in _ORDERS.items()}
    if cell is not None and cell not in known:
        raise InvalidPoint(f"cell = {cell!r}: PyTorch's names are of other cells; {nearest(cell, known)}")
    count, left = divmod(U.shape[0], N)
    if left or count not in _ORDERS:
        kinds = ", ".join(f"({other * N}, {N}) of the {kind} cell" for kind, other in known.items())
        raise InvalidPoint(f"{name} has shape {U.shape}: with N = {N} columns it can be {kinds}")
    if cell is not None and known[cell] != count:
        raise InvalidPoint(
            f"{name} has shape {U.shape}, {count} blocks of N = {N} rows: those are of the {_ORDERS[count].cell} "
            f"cell, and the {cell} cell needs ({known[cell] * N}, {N})"
        )
    return _ORDERS[count]


def _reordered(array: Array, rows: tuple[int, ...], N: int) -> Array:
    """Blocks of N rows in our order."""
    return np.concatenate([array[place * N : (place + 1) * N] for place in rows])


def _prefixes(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(m[1] for name in names if (m := pattern.match(name))))


MODULES = Scheme(
    "PyTorch's RNN, LSTM or GRU",
    "weight_ih_l0, weight_hh_l0, bias_ih_l0, … (PyTorch's RNN, LSTM, GRU)",
    lambda names: _prefixes(_LAYERED, names),
    _read_layers,
)
CELL_MODULES = Scheme(
    "PyTorch's RNNCell, LSTMCell or GRUCell",
    "weight_ih, weight_hh, … (its RNNCell, LSTMCell, GRUCell)",
    lambda names: _prefixes(_SINGLE, names),
    _read_cell,
)
