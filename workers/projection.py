"""W x + b of some steps, for cells whose net inputs hold nothing of the state but what a step adds."""

from __future__ import annotations

import numpy as np

from .cells.base import Array, Weights

_COLUMNS = 16


def projected(B: int) -> int:
    """Steps whose input projection is one product: a power of two, and a function of the point alone, so that the
    product has the same shape, and the same bits, in any company."""
    return 1 << max(0, (_COLUMNS // B).bit_length() - 1)


def project(w: Weights, x: Array, net: Array) -> None:
    """Write W x + b of some steps, x (P, C, B, M), into the net inputs (C, G, P, B, N), as one product a block."""
    P, C, B, M = x.shape
    for g, W in enumerate(w.W):
        block = net[:, g]
        if M == 1:  # a product without a sum
            np.multiply(x.swapaxes(0, 1), W.swapaxes(-1, -2), out=block)
        elif C == 1:
            np.matmul(x[:, 0], W.swapaxes(-1, -2), out=block[0])
        else:
            product = np.matmul(x.reshape(P, C * B, M), W.swapaxes(-1, -2))
            block[...] = product.reshape(P, C, B, -1).swapaxes(0, 1)
        if w.b is not None:
            block += w.b[g]
