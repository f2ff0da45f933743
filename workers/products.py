"""Matrix products in the shapes that OpenBLAS makes fastest, and sums over time as products.

With AVX-512, OpenBLAS multiplies matrices of up to a million multiplications without packing them first, at some
1.35 times the rate of a larger product (its kernel/x86_64/sgemm_small_kernel_permit_skylakex.c). How a product is
cut follows from the shape of one point, so it has the same bits in any company.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Array = NDArray[np.floating]

BLAS = ThreadpoolController()
_UNPACKED = 1_000_000
_FEWEST = 128  # columns of a sum whose parts are worth adding up
_WIDE = {"SkylakeX", "Cooperlake", "SapphireRapids"}


@cache
def _unpacked() -> bool:
    """Whether this machine's library has products without packing."""
    return any(one.get("architecture") in _WIDE for one in BLAS.info())


def _part(each: int) -> int:
    """The largest power of two of rows, ``each`` so many multiplications, that go without packing; 0 for none."""
    return 1 << (_UNPACKED // each).bit_length() - 1 if _unpacked() and each <= _UNPACKED else 0


def multiply(rows: Array, matrix: Array, out: Array) -> Array:
    """(P, n, K) times (P, K, N), written to ``out`` (P, n, N) and returned; by parts where that is faster."""
    (P, n, K), N = rows.shape, out.shape[-1]
    m = _part(K * N)
    whole = n - n % m if 8 <= m < n else 0
    if whole:
        parts = P, whole // m, m
        left, there = rows[:, :whole].reshape(*parts, K), out[:, :whole].reshape(*parts, N)
        np.matmul(left, matrix[:, None], out=there)
    if n > whole:
        np.matmul(rows[:, whole:], matrix, out=out[:, whole:])
    return out


def outer(left: Array, right: Array) -> Array:
    """Σ over steps and columns of left ⊗ right: (G, P, C·B, N), (P, C·B, L) -> (P, G·N, L)."""
    (G, P, n, N), L = left.shape, right.shape[-1]
    transposed, m = left.swapaxes(-1, -2), _part(N * L)
    if not _FEWEST <= m < n:
        m = n
    product = np.matmul(transposed[..., :m], right[:, :m])
    for first in range(m, n, m):
        product += np.matmul(transposed[..., first : first + m], right[:, first : first + m])
    # contiguous before it is reshaped: a dot product over a strided view has other last bits
    return np.ascontiguousarray(product.transpose(1, 0, 2, 3)).reshape(P, G * N, L)


def summed(columns: Array) -> Array:
    """Σ over steps and columns: (G, P, C·B, N) -> (P, G·N)."""
    return outer(columns, np.ones((*columns.shape[1:3], 1), columns.dtype))[..., 0]


def rows_to_columns(array: Array) -> Array:
    """(C, P, B, N) -> (P, C·B, N), contiguous: the layout in which a sum over time is one product."""
    C, P, B, N = array.shape
    return np.ascontiguousarray(array.transpose(1, 0, 2, 3)).reshape(P, C * B, N)
