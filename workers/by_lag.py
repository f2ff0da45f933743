"""Gradients by lag: G(ℓ) = Σ_t δ_{t,t−ℓ} h_{t−ℓ−1}ᵀ and its like for every array, gathered by windows of lags.

What back-propagation truncated to K steps computes is g_K = Σ_{ℓ<K} G(ℓ); over all lags it is the gradient. The
lags between two windows are added before they are multiplied with the states, since gradients are linear in δ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cells.base import Array
from .descent import Stretch, back, descent
from .gradients import Gradients, Sums, Terms
from .loss_rows import LossRows
from .outputs import Outputs
from .scale import Bundle, Exponents, add, times_power
from .stack import Stack
from .tape import Tape


def truncated_gradients(stack: Stack, tape: Tape, outputs: Outputs, windows: NDArray[np.int64]) -> list[Sums]:
    """g_K for every window K (ascending): by array a value (P, size) and its exponent of two (P,).

    V and d are left out: truncation does not touch them. Arrays are summed, not averaged, over the B columns.
    """
    rows, bins = LossRows(stack, outputs), _Bins(stack, windows)
    times = np.array(stack.loss_times)[::-1]
    bundle: Bundle | None = None
    for stretch in descent(stack, tape):
        joined = rows.of(stretch)
        for k, local in stretch.steps():
            if k in joined:
                bundle = joined[k].bare if bundle is None else bundle.joined(joined[k].bare)
            if bundle is not None:
                bundle.rescale()
                bundle, terms = back(stack, bundle, local)
                bins.put(stretch, k, times[: bundle.rows] - k, terms.value, rows.absolute(terms))
        bins.add(stretch)
    return bins.cumulated()


class _Bins:
    """One sum of gradients for the lags between each window and the next, a stretch at a time."""

    def __init__(self, stack: Stack, windows: NDArray[np.int64]) -> None:
        self._stack, self._windows = stack, windows
        self._sums = [Gradients(stack.cell, 1) for _ in windows]
        self._open: dict[int, Terms] = {}

    def put(
        self, stretch: Stretch, k: int, lags: NDArray[np.int64], terms: Array, exponent: Exponents
    ) -> None:
        """Error terms (G + extra, P, Q, B, N) of step k, whose rows have these lags, descending."""
        bins = np.searchsorted(self._windows, lags, side="right")
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        top = np.maximum.reduceat(exponent, starts, axis=1)
        counts = np.diff(starts, append=len(bins))
        shift = exponent - np.repeat(top, counts, axis=1)
        value = np.add.reduceat(times_power(terms, shift), starts, axis=2)
        for i, number in enumerate(bins[starts]):
            if number < len(self._windows):
                if number not in self._open:
                    self._open[number] = Terms.of(self._stack, stretch.stop - stretch.start)
                self._open[number].put(k - 1 - stretch.start, value[:, :, i], top[:, i])

    def add(self, stretch: Stretch) -> None:
        """Add what the stretch brought to the sums."""
        for number, terms in self._open.items():
            steps = slice(min(terms.steps), max(terms.steps) + 1)
            chunk = stretch.chunk(terms.value).part(steps)
            self._sums[number].add(chunk, np.ascontiguousarray(terms.exponent[:, steps]))
        self._open = {}

    def cumulated(self) -> list[Sums]:
        """The sum over all lags below each window."""
        found: list[Sums] = []
        for gradients in self._sums:
            so_far = dict(found[-1]) if found else {}
            for name, (value, exponent) in gradients.sums.items():
                so_far[name] = add(*so_far[name], value, exponent) if name in so_far else (value, exponent)
            found.append(so_far)
        return found
