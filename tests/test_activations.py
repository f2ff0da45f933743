"""f and f' of every activation against 60-digit decimal arithmetic, to 1e-12 relative for |z| ≤ 300."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from longlag.workers import activations
from longlag.workers.activations import ACTIVATIONS
from longlag.workers.kernel import numerics
from reference import ACTIVATIONS as REFERENCE
from reference import H


def tanh(z):
    e = (-2 * abs(z)).exp()
    return ((1 - e) / (1 + e)).copy_sign(z), 4 * e / (1 + e) ** 2


def logistic(z):
    e = (-abs(z)).exp()
    return (1 if z >= 0 else e) / (1 + e), e / (1 + e) ** 2


DECIMAL = {
    "tanh": tanh,
    "logistic": logistic,
    "relu": lambda z: (max(z, Decimal(0)), Decimal(z > 0)),
    "identity": lambda z: (z, Decimal(1)),
}


def arguments(rng, largest):
    size = np.concatenate(
        [10.0 ** np.linspace(-12, np.log10(largest), 120), largest * rng.random(120), [19.1, 22.0]]
    )
    return np.concatenate([-size, [0.0], size])


def exact(name, z):
    """f(z) and f'(z) at the very binary numbers z, as decimals."""
    if name not in DECIMAL:
        pytest.fail(
            f"activation {name!r} is registered but tests/test_activations.py has no decimal form of it"
        )
    with localcontext() as context:
        context.prec = 60
        return zip(*(DECIMAL[name](Decimal(float(v))) for v in z), strict=True)


def worst(found, wanted):
    """The largest relative error, computed in decimals."""
    with localcontext() as context:
        context.prec = 60
        pairs = zip(map(Decimal, map(float, found)), wanted, strict=True)
        return float(max(abs(f - w) / abs(w) if w else abs(f) for f, w in pairs))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative_are_right_to_1e_12_up_to_300(name):
    z = arguments(np.random.default_rng(0), 300.0)
    value, derivative = exact(name, z)
    assert worst(ACTIVATIONS[name].value(z), value) <= 1e-12
    assert worst(ACTIVATIONS[name].derivative(z), derivative) <= 1e-12


@pytest.mark.parametrize("own", [False, True], ids=["exp", "cosh"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_one_exponential_gives_both_to_the_last_digits(name, own, monkeypatch):
    monkeypatch.setattr(activations, "_VECTORISED", own)
    z = arguments(np.random.default_rng(4), 300.0)
    edge = np.nextafter(0.125, [0.0, 1.0])
    z = np.concatenate([z, [1e-310, 1e-20, 0.125], edge, np.random.default_rng(5).uniform(-0.3, 0.3, 500)])
    for z_ in (np.concatenate([z, -z]), z):
        value, derivative = exact(name, z_)
        found, slope = np.empty_like(z_), np.empty_like(z_)
        ACTIVATIONS[name].both(z_, found, slope)
        assert worst(found, value) <= 4 * np.finfo(float).eps
        assert worst(slope, derivative) <= 4 * np.finfo(float).eps


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_both_do_not_depend_on_company_that_leaves_the_range(dtype):
    z = np.linspace(-80, 80, 999).astype(dtype)
    for name in ("tanh", "logistic"):
        alone, beside = (np.empty((2, z.size + extra), dtype) for extra in (0, 4))
        with numerics():
            ACTIVATIONS[name].both(z, *alone)
        far = np.append(z, np.array([-3e4, 3e4, np.inf, -np.inf], dtype))
        with numerics():
            ACTIVATIONS[name].both(far, *beside)
        assert np.array_equal(beside[:, :-4], alone)
        assert np.array_equal(beside[0, -4:], [-1.0 if name == "tanh" else 0.0, 1, 1, beside[0, -4]])
        assert not beside[1, -4:].any()


def test_one_less_a_logistic_keeps_its_digits_on_both_sides():
    z = arguments(np.random.default_rng(6), 600.0)
    value, slope, rest = np.empty((3, z.size + 1))
    z = np.append(z, -1e4)
    activations.logistic_both(z, value, slope)
    with np.errstate(invalid="ignore"):
        activations.complement(z, value, slope, rest)
    assert rest[-1] == 1
    wanted, _ = exact("logistic", -z[:-1])
    assert worst(rest[:-1], wanted) <= 6 * np.finfo(float).eps


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative_in_float32(name):
    z = arguments(np.random.default_rng(1), 40.0).astype(np.float32)
    value, derivative = exact(name, z)
    activation = ACTIVATIONS[name]
    assert activation.value(z).dtype == activation.derivative(z).dtype == np.float32
    assert worst(activation.value(z), value) <= 1e-6
    assert worst(activation.derivative(z), derivative) <= 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_logarithm_of_the_derivative_far_beyond_the_range(name):
    z = arguments(np.random.default_rng(2), 1e5)
    _, derivative = exact(name, z)
    with localcontext() as context:
        context.prec = 60
        logs = np.array([float(d.ln()) if d else -np.inf for d in derivative])
    with np.errstate(divide="ignore"):
        found = ACTIVATIONS[name].ln_derivative(z)
    alive = np.isfinite(logs)
    np.testing.assert_array_equal(np.isfinite(found), alive)
    assert np.all(np.abs(found[alive] - logs[alive]) <= 1e-15 + 1e-15 * np.abs(logs[alive]))


@pytest.mark.parametrize("name", ["tanh", "logistic"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_whose_derivatives_all_underflow_keeps_them_beside_a_power_of_two(name, dtype):
    z = np.array([[900.0, -901.0, 950.0], [0.5, 2000.0, -1.0], [3e4, 3e4, -3e4]], dtype)
    with numerics():
        D, shift = ACTIVATIONS[name].factor(z)
    with np.errstate(divide="ignore"):
        logs = np.log(D.astype(float)) + np.asarray(shift)[:, None] * np.log(2.0)
    _, derivative = exact(name, z.ravel())
    wanted = np.array([float(d.ln()) for d in derivative]).reshape(z.shape)
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    seen = tiny <= D  # what is 1e38 times smaller than its neighbour may go
    assert seen.any(axis=1).all()
    assert np.all(np.abs(logs - wanted)[seen] <= 4 * eps * np.abs(wanted)[seen])


@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_the_complex_step_of_the_reference_is_right_too(name):
    z = arguments(np.random.default_rng(3), 300.0)
    _, derivative = exact(name, z)
    assert worst(REFERENCE[name](z + 1j * H).imag / H, derivative) <= 1e-14
