"""What truncated back-propagation through time loses: the gradient of the last K lags against the whole one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..by_lag import truncated_gradients
from ..cells import Cell
from ..descent import steps_of
from ..gradients import Sums
from ..scale import LN2, rescaled, squared_norms, times_power
from .base import Column, Probe, Sizes, Swept, Values, Work
from .window import spaced

_DENSE = 32
_LEVELS = {"truncation_90": 0.1, "truncation_99": 0.01}
_TALLEC = "Tallec & Ollivier 2017; Aicher, Foti & Fox 2019"


def _windowed(swept: Swept) -> tuple[NDArray[np.int64], list[Sums]]:
    """The windows K, and g_K for each; computed once for both probes."""
    windows = spaced(swept.stack.loss_times[-1], _DENSE)
    if "windows" not in swept.shared:
        swept.shared["windows"] = truncated_gradients(swept.stack, swept.tape, swept.outputs, windows)
    return windows, swept.shared["windows"]


def by_lag(swept: Swept) -> Values:
    """‖g_K‖/‖g‖, its cosine with g and its size, of the recurrent arrays, by window K."""
    names = swept.stack.cell.recurrent
    windows, sums = _windowed(swept)
    found = [_Against(part, swept.backward.gradients.sums, names) for part in sums]
    B = swept.stack.inputs.shape[2]
    return {
        "window": np.broadcast_to(windows, (len(swept.nominal), len(windows))),
        "window_share": np.stack([one.ratio for one in found], axis=1),
        "window_cosine": np.stack([one.cosine for one in found], axis=1),
        "window_ln_norm": np.stack([one.ln_norm - np.log(B) for one in found], axis=1),
    }


def truncated(swept: Swept) -> Values:
    """Relative bias ‖g_K − g‖/‖g‖, cosine and norm ratio of the whole gradient but V and d, by window K."""
    windows, sums = _windowed(swept)
    whole = swept.backward.gradients.sums
    names = [name for name in whole if name not in ("V", "d")]
    found = [_Against(part, whole, names) for part in sums]
    bias = np.stack([one.bias for one in found], axis=1)
    slack = 16 * float(np.finfo(swept.stack.inputs.dtype).eps)  # rounding of a bias: at a level is within it
    return {
        "truncation_window": np.broadcast_to(windows, bias.shape),
        "truncation_bias": bias,
        "truncation_cosine": np.stack([one.cosine for one in found], axis=1),
        "truncation_ratio": np.stack([one.ratio for one in found], axis=1),
        **{name: _reached(windows, bias, level + slack) for name, level in _LEVELS.items()},
    }


class _Against:
    """A part of a gradient against the whole one, over some arrays together; every number (P,).

    ``ratio`` ‖part‖/‖whole‖, ``cosine``, ``bias`` ‖part − whole‖/‖whole‖, ``ln_norm`` ln‖part‖. NaN where the
    whole one is zero.
    """

    def __init__(self, part: Sums, whole: Sums, names: Iterable[str]) -> None:
        given = [name for name in names if name in whole]
        top = np.max([whole[name][1] for name in given], axis=0)
        one, all_ = (_joined(sums, given, top) for sums in (part, whole))
        scaled, moved = rescaled(one[None], np.ones(len(one), np.bool_))
        squares, total = squared_norms(scaled), squared_norms(all_[None])
        dot = np.vecdot(scaled[0], all_).astype(np.float64)
        left = times_power(scaled[0], moved) - all_
        self.ln_norm = 0.5 * np.log(squares) + (moved + top) * LN2
        self.ratio = np.exp(0.5 * (np.log(squares) - np.log(total)) + moved * LN2)
        self.cosine = np.where(squares * total > 0, dot / np.sqrt(squares * total), np.nan)
        self.bias = np.sqrt(squared_norms(left[None]) / total)
        for name in ("ratio", "bias"):
            setattr(self, name, np.where(total > 0, getattr(self, name), np.nan))


def _joined(sums: Sums, names: Iterable[str], top: NDArray[np.int64]) -> NDArray:
    """Arrays (P, size) side by side on one scale, 2^top (P,)."""
    return np.concatenate([times_power(sums[name][0], sums[name][1] - top) for name in names], axis=1)


def _reached(windows: NDArray[np.int64], bias: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """The smallest window from which on the bias stays within the level, (P,); NaN where it is not known."""
    within = np.logical_and.accumulate((bias <= level)[:, ::-1], axis=1)[:, ::-1]
    first = windows[np.argmax(within, axis=1)].astype(np.float64)
    return np.where(within.any(axis=1), first, np.nan)


def _cost(s: Sizes) -> Work:
    rows, windows = (s.R + 1) / 2, len(spaced(s.T, _DENSE))
    down, stretch = s.down(rows, s.B), min(s.T, steps_of(s.B))
    size = s.G * s.N * ((s.N if s.recurrent else 0) + s.M + 1) + 2 * s.N
    opened = min(windows, s.R + stretch)  # windows to which one stretch contributes
    outer = 2.0 * s.T * s.B * s.N * (s.N + s.M) * s.G * min(windows, s.R + 2)
    added = size * (5.0 * windows + 2.0 * opened * s.T / stretch)
    sums = windows * (8.0 * size + 3000)  # numbers, and the objects that hold them
    terms = opened * s.B * s.N * (s.G + 1) * (stretch + 2)
    bundle = s.R * s.B * s.N * (3 * s.G + 3 * s.components)
    return Work(
        down.flops + outer,
        down.elements + added,
        s.T * (2 + 8 * opened / stretch),
        bytes=sums + 8.0 * (12 * size + terms + bundle),
        kept=sums,
    )


def _no_recurrent_array(cell: type[Cell]) -> str | None:
    if cell.recurrent:
        return None
    return f"no array of the {cell.name} cell multiplies its old state; truncated_bptt has its whole gradient"


GRADIENT_BY_LAG = Probe(
    "gradient_by_lag",
    "the gradient of the recurrent arrays gathered over the lags below a window",
    (
        Column("window", "list<int64>", "lags", "K, lags 0 … K−1: all to 32, then 32 a decade"),
        Column("window_share", "list<float64>", "", "‖Σ_{ℓ<K} G(ℓ)‖ / ‖∂L/∂U‖ of the recurrent arrays"),
        Column("window_cosine", "list<float64>", "", "cosine of Σ_{ℓ<K} G(ℓ) with ∂L/∂U"),
        Column("window_ln_norm", "list<float64>", "ln", "ln‖Σ_{ℓ<K} G(ℓ)‖"),
    ),
    by_lag,
    cost=_cost,
    of_gradient=True,
    lacking=_no_recurrent_array,
)
TRUNCATED_BPTT = Probe(
    "truncated_bptt",
    "bias of back-propagation truncated to K steps, and the window that holds 90 % of the gradient",
    (
        Column("truncation_window", "list<int64>", "lags", "K: all to 32, then 32 a decade"),
        Column("truncation_bias", "list<float64>", "", "‖g_K − g‖/‖g‖ of all arrays but V and d", _TALLEC),
        Column("truncation_cosine", "list<float64>", "", "cosine of g_K with g", _TALLEC),
        Column("truncation_ratio", "list<float64>", "", "‖g_K‖/‖g‖", _TALLEC),
        *(
            Column(
                name,
                "float64",
                "lags",
                f"smallest window K from which on the bias is at most {100 * level:g} %",
                "Aicher, Foti & Fox 2019",
            )
            for name, level in _LEVELS.items()
        ),
    ),
    truncated,
    cost=_cost,
    of_gradient=True,
)
