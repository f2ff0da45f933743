"""Forward sensitivity: how large the hidden state is, and how much it moves with the recurrent parameters.

Zucchet & Orvieto (2024): as memory gets longer, E (∂h/∂θ)² grows although neither state nor error term explodes;
for h ← a h + x with white x, E h² → 1/(1 − a²) and E (∂h/∂a)² → (1 + a²)/(1 − a²)³. Not to be confused with the
gradient of the loss: here every unit of h_T is derived by itself.

Exact, not sampled: a unit row for every unit of h_T goes down the tape, and each row's parameter gradient is a sum
of its own with its own exponent. Rows go in blocks, so that these sums stay small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells import CELLS, Cell
from ..cells.base import Array, Chunk
from ..descent import Stretch, back, descent
from ..gradients import Gradients
from ..scale import DEAD, Bundle
from ..segment import SEGMENT
from ..stack import Stack
from .base import Column, Probe, Sizes, Swept, Values, Work

_ELEMENTS = 1 << 20  # of a block's sums, for one point
_ZUCCHET = "Zucchet & Orvieto 2024"


def measure(swept: Swept) -> Values:
    """E h_T² and E ‖∂h_T/∂θ‖², themselves and as logarithms, (P,)."""
    h = swept.stack.cell.read_out(np.ascontiguousarray(swept.tape.last)).astype(np.float64)
    with np.errstate(divide="ignore"):
        ln_hidden = _ln_mean(2 * np.log(np.abs(h)))
    ln_sensitivity = _ln_mean(_ln_squares(swept))
    return {
        "hidden_square": np.exp(ln_hidden),
        "ln_hidden_square": ln_hidden,
        "sensitivity_square": np.exp(ln_sensitivity),
        "ln_sensitivity_square": ln_sensitivity,
    }


def _ln_mean(ln: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of the mean of e^ln over all axes but the first; −inf where every one is zero."""
    flat = np.ascontiguousarray(ln.reshape(len(ln), -1))
    peak = flat.max(axis=-1)
    peak = np.where(np.isneginf(peak), 0.0, peak)
    return peak + np.log(np.exp(flat - peak[:, None]).mean(axis=-1))


def _ln_squares(swept: Swept) -> NDArray[np.float64]:
    """ln ‖∂h_{T,i}/∂θ‖² of every unit and column, θ all recurrent arrays together: (P, N, columns)."""
    cell, w = swept.stack.cell, swept.stack.weights
    P, N = len(swept.stack.points), w.V.shape[-1]
    count = _blocks(N, swept.columns, sum(one[:, 0].size for one in (w.U, w.W) if one is not None))
    ln = np.empty((P, N, swept.columns))
    for units in np.array_split(np.arange(N), count):
        for i, gradients in zip(units, _gradients(swept, units), strict=True):
            norms = gradients.ln_norms()
            squares = [2 * norms[name].reshape(P, -1) for name in cell.recurrent]
            ln[:, i] = squares[0]
            for other in squares[1:]:
                ln[:, i] = np.logaddexp(ln[:, i], other)
    return ln


def _blocks(N: int, columns: int, arrays: int) -> int:
    """Into how many blocks the N rows are cut; ``arrays`` is the size of one gradient."""
    return min(N, -(-N * columns * arrays // _ELEMENTS))


def _gradients(swept: Swept, units: NDArray[np.int64]) -> list[Gradients]:
    """∂h_{T,i}/∂θ for these units; column b of point p is number p·columns + b of their stacks."""
    stack, columns, T = swept.stack, swept.columns, swept.tape.steps
    bundle = _rows(swept, units)
    blocks, P, Q, _, N = len(stack.cell.gates) + stack.cell.extra, *bundle.value.shape[1:]
    sums = [Gradients(stack.cell, 1) for _ in units]
    stretches = descent(stack, swept.tape, columns)
    for window, some in groupby(
        stretches, lambda stretch: stretch.start // SEGMENT
    ):  # few additions to large sums
        first, C, parts = window * SEGMENT, min(SEGMENT, T - window * SEGMENT), []
        delta = np.empty((Q, blocks, P * columns, C, 1, N), bundle.value.dtype)
        exponent = np.empty((Q, P, columns, C), np.int64)
        for stretch in some:
            steps = slice(stretch.start - first, stretch.stop - first)
            _error_terms(stack, stretch, bundle, delta[..., steps, 0, :], exponent[..., steps])
            parts.insert(0, stretch)
        for one, chunk, scale in zip(sums, _chunks(_joined(parts), delta), exponent, strict=True):
            one.add(chunk, scale.reshape(P * columns, C, 1))
        del delta, exponent, parts
    return sums


def _joined(stretches: list[Stretch]) -> Chunk:
    """Consecutive stretches as one chunk, whose error terms are yet to come. A shift that some of them lack is left
    out: gradients need none."""
    before, drive = (
        np.concatenate([getattr(one, name) for one in stretches], axis=1) for name in ("before", "drive")
    )
    local = zip(*(one.local for one in stretches), strict=True)
    return Chunk(np.empty(0), before, drive, tuple(_one_after_another(parts) for parts in local))


def _one_after_another(parts: Sequence[Any]) -> Any:
    """Local derivatives (C, …) of all steps; not copied where they are the same at each."""
    if any(part is None for part in parts):
        return None
    if all(part.strides[0] == 0 for part in parts):
        return np.broadcast_to(parts[0][:1], (sum(map(len, parts)), *parts[0].shape[1:]))
    return np.concatenate(parts)


def _rows(swept: Swept, units: NDArray[np.int64]) -> Bundle:
    """∂h_{T,i}/∂s_T of these units, one row each: (components, P, Q, columns, N)."""
    cell, columns = swept.stack.cell, swept.columns
    last = np.ascontiguousarray(swept.tape.last[:, :, None, :columns])
    P, N = last.shape[1], last.shape[-1]
    unit = np.zeros((P, len(units), columns, N), last.dtype)
    unit[:, np.arange(len(units)), :, units] = 1
    value, shift = cell.read_out_adjoint(last, unit)
    exponent = np.zeros(unit.shape[:-1], np.int64)
    return Bundle(value, exponent if shift is None else exponent + shift)


def _error_terms(
    stack: Stack, stretch: Stretch, bundle: Bundle, delta: Array, exponent: NDArray[np.int64]
) -> None:
    """Take the rows down a stretch, in place, and fill in their error terms: delta (Q, G + extra, P·columns, C, N)
    and exponent (Q, P, columns, C), which is DEAD where a row is zero."""
    for k, local in stretch.steps():
        bundle.ln_norms()  # for the rescaling
        adjoint, rows = back(stack, bundle, local)
        bundle.value, bundle.exponent = adjoint.value, adjoint.exponent
        c = k - 1 - stretch.start
        by_row = rows.value.transpose(2, 0, 1, 3, 4)
        delta[..., c, :] = by_row.reshape(delta[..., c, :].shape)
        alive = rows.value.any(axis=(0, -1))
        exponent[..., c] = np.where(alive, rows.exponent, DEAD).swapaxes(0, 1)


def _chunks(whole: Chunk, delta: Array) -> Iterator[Chunk]:
    """The steps for one row after the other, every batch column a point of its own."""
    P, C, columns, M = whole.drive.shape
    before = np.ascontiguousarray(whole.before).reshape(-1, C, P * columns, 1, whole.before.shape[-1])
    drive = np.ascontiguousarray(whole.drive.swapaxes(1, 2)).reshape(P * columns, C, 1, M)
    local = tuple(_columns_apart(part, columns) for part in whole.local)
    for one in delta:
        yield Chunk(one, before, drive, local)


def _columns_apart(part: Any, columns: int) -> Any:
    """A local derivative (C, P, columns or 1, …) as (C, P·columns, 1, …)."""
    if part is None:
        return None
    C, P, _, *rest = part.shape
    steps = part[:1] if part.strides[0] == 0 else part  # the same at each
    whole = np.ascontiguousarray(np.broadcast_to(steps, (len(steps), P, columns, *rest)))
    return np.broadcast_to(whole.reshape(len(steps), P * columns, 1, *rest), (C, P * columns, 1, *rest))


def _lacking(cell: type[Cell]) -> str | None:
    if cell.recurrent:
        return None
    having = ", ".join(name for name, one in CELLS.items() if one.recurrent)
    return f"the {cell.name} cell has no parameter that multiplies its old state; cells that have: {having}"


def _cost(s: Sizes) -> Work:
    down, chunk = s.down(s.N, s.columns), min(s.T, SEGMENT)
    arrays = s.recurrent * s.N * s.N + s.G * s.N * s.M
    count = _blocks(s.N, s.columns, arrays)
    rows, unit = -(-s.N // count), s.columns * s.N
    products = 2.0 * arrays * unit * s.T
    added = s.T / chunk * unit * arrays / 10
    sums = (rows + 6) * s.columns * arrays
    window = chunk * unit * (1.3 * rows * (s.G + s.components) + 12 * s.G + 12)
    bundle = rows * unit * (4 * s.G + 4 * s.components)
    some = s.T * unit * (s.G + 1 + s.components) if s.columns < s.B else 0  # the tape's first columns
    return Work(
        2 * (down.flops + products),
        2 * (down.elements + added),
        2 * (s.T * count + s.N * s.T / chunk),
        bytes=8.0 * (sums + window + bundle + some),
    )


SENSITIVITY = Probe(
    "sensitivity",
    "mean squares of the hidden state and of its derivative by the recurrent parameters",
    (
        Column(
            "hidden_square",
            "float64",
            "",
            "E h_T²: mean over units and columns at the last step; inf beyond range",
            _ZUCCHET,
        ),
        Column("ln_hidden_square", "float64", "ln", "its logarithm; −inf where the state is zero", _ZUCCHET),
        Column(
            "sensitivity_square",
            "float64",
            "",
            "E ‖∂h_T/∂θ‖²: squared Euclidean norm by all recurrent parameters (U; a; …), mean over units of h_T "
            "and the first four columns; inf beyond range",
            _ZUCCHET,
        ),
        Column(
            "ln_sensitivity_square",
            "float64",
            "ln",
            "its logarithm; −inf where the derivative is zero",
            _ZUCCHET,
        ),
    ),
    measure,
    _cost,
    _lacking,
)
