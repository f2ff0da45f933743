"""Norms of adjoint rows along a stretch of steps, noted as squares and exponents of two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .scale import Bundle, in_range, ln_of


class Norms:
    """Norms of the rows at the C steps of a stretch, whose logarithms are taken together."""

    def __init__(self, C: int, P: int, Q: int, B: int) -> None:
        self.squares, self.exponent = np.zeros((C, P, Q, B)), np.zeros((C, P, Q, B), np.int64)
        self.scaled = False  # whether an exponent may not be zero

    def put(self, c: int, first: int, bundle: Bundle, squares: NDArray[np.float64]) -> None:
        """Note the norms and exponents of a bundle, whose rows are the ones from ``first`` on, at the c-th step."""
        self.squares[c, :, first : first + bundle.rows] = squares
        self.scale(slice(c, c + 1), first, bundle)

    def scale(self, steps: slice, first: int, bundle: Bundle) -> None:
        """Note the exponents of a bundle at some steps."""
        if self.scaled or bundle.exponent.any():
            self.exponent[steps, :, first : first + bundle.rows] = bundle.exponent
            self.scaled = True

    def safe(self, first: int, bundle: Bundle) -> bool:
        """Whether the bundle's rows have been in the safe range at all steps."""
        return in_range(self.squares[:, :, first : first + bundle.rows], bundle.value.dtype)

    def write(self, ln_norms: NDArray[np.float64]) -> int:
        """Write ln‖row‖ to (P, R, C, B), last loss time last; returns how many are finite."""
        ln = ln_of(self.squares, self.exponent if self.scaled else None)
        ln_norms[:, ln_norms.shape[1] - ln.shape[2] :] = ln[:, :, ::-1].transpose(1, 2, 0, 3)
        return int(np.count_nonzero(np.isfinite(ln)))
