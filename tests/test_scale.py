"""Numbers with an exponent of two beside them: the split of a scale cannot matter, down to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from longlag.workers.scale import LN2, Bundle, in_range, ln_of


@given(st.floats(1e-90, 1e90), st.integers(-40, 40), st.integers(-(10**6), 10**6))
def test_a_logarithm_does_not_know_where_a_scale_is(norm, moved, exponent):
    squares = np.array([norm * norm])
    whole = ln_of(squares, np.array([exponent]))
    assert ln_of(squares * 4.0**moved, np.array([exponent - moved])) == whole
    parts = np.log(norm), exponent * LN2
    assert whole[0] == pytest.approx(sum(parts), rel=0, abs=4e-16 * (1 + np.abs(parts).max()))


def test_logarithms_near_one_keep_their_digits():
    squares = 1 + np.array([-1e-3, -1e-9, 1e-12, 1e-5])
    np.testing.assert_allclose(ln_of(squares, None), 0.5 * np.log(squares), rtol=1e-15)


def test_logarithms_of_what_is_no_positive_number():
    squares = np.array([0.0, np.inf, np.nan, 1.0])
    with np.errstate(all="ignore"):
        for exponent in (None, np.array([-(2**62), 3, 3, 0])):
            np.testing.assert_array_equal(ln_of(squares, exponent), [-np.inf, np.inf, np.nan, 0])
    many = np.ones((3, 7000))
    many[1, 5], many[2, 6999] = 0, 4
    ln = ln_of(many, None)
    assert (ln[1, 5], ln[2, 6999], ln[0].any()) == (-np.inf, np.log(2), False)


@pytest.mark.parametrize(("dtype", "small"), [("float32", 2.0**-75), ("float64", 2.0**-440)])
def test_small_elements_of_a_rescaled_row_have_normal_squares(dtype, small):
    value = np.full((1, 1, 1, 1, 4), 2.0**-60, dtype)
    value[..., 1] *= small / 4
    exact = value.astype(np.float64)
    bundle = Bundle(value, np.zeros((1, 1, 1), np.int64))
    squares = bundle.rescale(ahead=32)
    assert in_range(squares, value.dtype, ahead=32)
    scaled = bundle.value.astype(np.float64)
    np.testing.assert_array_equal(np.ldexp(scaled, bundle.exponent[..., None]), exact)
    assert (np.square(bundle.value) >= np.finfo(dtype).tiny).all()
