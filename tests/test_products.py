"""Products cut into the shapes a library is fastest at: the same sums, and the same bits in any company."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longlag.workers import aligned, products
from longlag.workers.cells.base import Weights
from longlag.workers.kernel import numerics
from longlag.workers.room import Room

SIZES = [(1, 5, 3), (2, 300, 64), (3, 257, 64), (1, 128, 64), (2, 90, 120), (2, 700, 50), (1, 40, 300)]


@pytest.fixture(params=["unpacked", "packed"])
def library(request, monkeypatch):
    monkeypatch.setattr(products, "_unpacked", lambda: request.param == "unpacked")


@pytest.mark.parametrize(("P", "n", "N"), SIZES)
def test_rows_times_a_matrix(library, P, n, N):
    rng = np.random.default_rng(n)
    rows, matrix = rng.standard_normal((P, n, N)), rng.standard_normal((P, N, N))
    out = np.full((P, n, N), np.nan)
    assert products.multiply(rows, matrix, out) is out
    exact = np.einsum("pnk,pkm->pnm", rows, matrix)
    assert np.abs(out - exact).max() <= 1e-12 * np.abs(exact).max()
    for p in range(P):  # a point alone
        alone = products.multiply(rows[p : p + 1], matrix[p : p + 1], np.empty((1, n, N)))
        assert np.array_equal(alone[0], out[p])


@pytest.mark.parametrize(("P", "n", "N"), SIZES)
@pytest.mark.parametrize("L", [1, 5, 66])
def test_a_sum_over_time(library, P, n, N, L):
    rng = np.random.default_rng(n)
    left, right = rng.standard_normal((2, P, n, N)), rng.standard_normal((P, n, L))
    found = products.outer(left, right)
    exact = np.einsum("gpcn,pcl->pgnl", left, right).reshape(P, 2 * N, L)
    assert found.flags.c_contiguous
    assert np.abs(found - exact).max() <= 1e-12 * np.abs(exact).max()
    for p in range(P):
        assert np.array_equal(products.outer(left[:, p : p + 1], right[p : p + 1])[0], found[p])


def test_a_pull_sums_over_blocks(library):
    rng = np.random.default_rng(0)
    U, delta = rng.standard_normal((3, 2, 64, 64)), rng.standard_normal((3, 2, 9, 32, 64))
    out = np.empty((2, 9, 32, 64))
    Weights(V=U, d=U, W=U, U=U).pull(delta, out)
    exact = np.einsum("gpqbn,gpnm->pqbm", delta, U)
    assert np.abs(out - exact).max() <= 1e-12 * np.abs(exact).max()


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from(["float32", "float64"]))
def test_arrays_start_at_a_line(shape, dtype):
    first = aligned.empty(tuple(shape), np.dtype(dtype))
    second = aligned.copy(np.ones((3, *shape), dtype).swapaxes(0, 1))
    third = Room().take((2, *shape), np.dtype(dtype))
    for array in (first, second, third):
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
    assert (second == 1).all()


def test_scratch_is_the_same_memory():
    like = np.zeros((3, 4))
    one = aligned.scratch("test", like)
    assert one.shape == like.shape
    assert aligned.scratch("test", like) is one
    assert aligned.scratch("other", like) is not one
    assert aligned.scratch("test", like.astype(np.float32)).dtype == np.float32
    fewer = aligned.scratch("test", np.zeros(5))
    assert fewer.shape == (5,)
    assert np.shares_memory(fewer, one)
    assert aligned.scratch("test", np.zeros((0, 3))).shape == (0, 3)


def test_the_size_of_the_buffers_is_the_callers_again():
    before = np.getbufsize()
    with numerics():
        assert np.getbufsize() < before
    assert np.getbufsize() == before
