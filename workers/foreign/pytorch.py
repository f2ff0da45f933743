"""The names of PyTorch's RNN, LSTM and GRU modules and of their single-step cells, as a ``state_dict`` has them.

The equations are those of the documentation of torch.nn.RNN, LSTM and GRU (2.x). Rows of ``weight_hh`` stand gate
by gate: i, f, g, o for the LSTM, r, z, n for the GRU; ours are i, f, o, c and k, r, n with k = z. Of the two
biases only the GRU's b_hn acts by itself, since the reset gate multiplies it: ours is b_u; else both are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidPoint, nearest
from .files import plain
from .naming import Array, Block, Layer, Scheme, found, matrix, of_shape

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
    biases = _has_biases(named, prefix)
    layers: list[Layer] = []
    for i in range(count):
        blocks: list[Block] = []
        for end in ends:
            first = (*blocks, *(layers[0] if layers else ()))[:1]
            width = None if not layers else sum(_units(block) for block in layers[-1])
            blocks.append(
                _block(named, prefix, f"_l{i}{end}", cell, biases, first[0] if first else None, width)
            )
        layers.append(tuple(blocks))
    _refuse_others(named, prefix, [f"_l{i}{end}" for i in range(count) for end in ends])
    return layers


def _read_cell(named: Mapping[str, Any], prefix: str, cell: str | None) -> list[Layer]:
    """The one layer of an RNNCell, LSTMCell or GRUCell."""
    block = _block(named, prefix, "", cell, _has_biases(named, prefix))
    _refuse_others(named, prefix, [""])
    return [(block,)]


def _block(
    named: Mapping[str, Any],
    prefix: str,
    end: str,
    cell: str | None,
    biases: bool,
    first: Block | None = None,
    width: int | None = None,
) -> Block:
    """The cell whose arrays are called ``<prefix>weight_ih<end>`` and so on.

    ``first``: a block of the same module, of which it has the kind and N; ``width`` of what the layer below gives.
    """
    names = [f"{prefix}{kind}{end}" for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")]
    U = matrix(named, names[0], "is the recurrent matrix")
    if first is not None:
        N = _units(first)
        why = f"beside {first.source} of the {first.cell} cell with N = {N}"
        of_shape(names[0], U, (len(first.arrays["U"]), N), why)
    order, N = _order(names[0], U, cell), U.shape[1]
    rows = len(order.rows) * N
    beside = f"beside {names[0]} {U.shape}"
    below = beside if width is None else f"{beside}, behind a layer of {width} hidden units,"
    W = of_shape(names[1], matrix(named, names[1], "multiplies the inputs"), (rows, width or "M"), below)
    b_ih, b_hh = (_bias(named, name, rows, beside) if biases else np.zeros(rows) for name in names[2:])
    arrays = {name: _reordered(a, order.rows, N) for name, a in (("U", U), ("W", W), ("b", b_ih + b_hh))}
    if order.cell == "gru":
        arrays["b"][2 * N :] = b_ih[2 * N :]
        if b_hh[2 * N :].any():
            arrays["b_u"] = b_hh[2 * N :].copy()
    return Block(order.cell, arrays, names[0], order.settled)


def _bias(named: Mapping[str, Any], name: str, rows: int, beside: str) -> Array:
    """A bias of a module that has some. Raises InvalidPoint where it is absent."""
    if name not in named:
        raise InvalidPoint(
            f"there is no {name}, but other biases are there: give it, as zeros if it has none, or leave all out "
            f"(bias=False); {found(named)}"
        )
    return of_shape(name, plain(name, named[name]), (rows,), beside)


def _units(block: Block) -> int:
    return block.arrays["U"].shape[1]


def _has_biases(named: Mapping[str, Any], prefix: str) -> bool:
    """Whether the module has biases: all of them, or with bias=False none."""
    return any(name.startswith((f"{prefix}bias_ih", f"{prefix}bias_hh")) for name in named)


def _refuse_others(named: Mapping[str, Any], prefix: str, ends: Sequence[str]) -> None:
    """Weights and biases of the module itself that PyTorch's cells do not have would be left out silently."""
    known = {
        f"{prefix}{kind}{end}" for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh") for end in ends
    }
    for name in named:
        own = name.removeprefix(prefix)
        of_module = name.startswith(prefix) and re.match(r"(weight_|bias_|bias$)[^.]*$", own)
        if of_module and name not in known:
            raise InvalidPoint(
                f"{name} is no array of PyTorch's RNN, LSTM or GRU: it would be left out, and the numbers would be "
                f"another network's; they have weight_ih, weight_hh, bias_ih and bias_hh"
            )


def _order(name: str, U: Array, cell: str | None) -> _Order:
    """Which of our cells a recurrent matrix belongs to, by its number of blocks. Raises InvalidPoint."""
    N, known = U.shape[1], {order.cell: count for count, order in _ORDERS.items()}
    if cell is not None and cell not in known:
        raise InvalidPoint(f"cell = {cell!r}: PyTorch's names are of other cells; {nearest(cell, known)}")
    count, left = divmod(U.shape[0], N)
    if left or count not in _ORDERS:
        kinds = ", ".join(f"({other * N}, {N}) of the {kind} cell" for kind, other in known.items())
        turned = N % U.shape[0] == 0 and N // U.shape[0] in _ORDERS
        hint = "; is it transposed? Rows are net inputs, gate by gate" if turned else ""
        raise InvalidPoint(f"{name} has shape {U.shape}: with N = {N} columns it can be {kinds}{hint}")
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
