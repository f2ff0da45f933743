"""Which steps and lags the probes look at: the same for all, so that what they give can be compared."""

import numpy as np
from numpy.typing import NDArray


def window(T: int) -> tuple[int, int]:
    """First and last step (from 1) of the averages over Jacobians: without a quarter, or 100 steps, at either end.

    At the beginning the state still remembers s_0 = 0, where every nonlinearity is at its steepest; at the end
    the rows, which go down from there, have not turned into the directions that last.
    """
    skip = min(T // 4, 100)
    return 1 + skip, T - skip


def spaced(last: int, dense: int) -> NDArray[np.int64]:
    """1 … dense, then ``dense`` a decade, and ``last``."""
    if last <= dense:
        return np.arange(1, last + 1)
    j = np.arange(int(dense * np.log10(dense)), int(dense * np.log10(last)) + 1)
    sparse = np.rint(10 ** (j / dense)).astype(np.int64)
    return np.unique(
        np.concatenate([np.arange(1, dense + 1), sparse[(sparse > dense) & (sparse < last)], [last]])
    )
