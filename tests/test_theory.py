"""Mean field against 40-digit decimals, fixed panels over the engine's f, published values and wide networks."""

import math
import warnings
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from helpers import row
from longlag.workers import Point, gaussian, measure, theory, trace
from longlag.workers.activations import ACTIVATIONS
from longlag.workers.errors import InvalidPoint, Unreachable
from longlag.workers.theory import critical_gain, critical_input, fixed_point, mean_field
from threadpoolctl import threadpool_limits

SOLVED = ("tanh", "logistic")  # relu and identity have closed forms


def tanh(z):
    e = (-2 * z).exp()
    return (1 - e) / (1 + e), 4 * e / (1 + e) ** 2


def logistic(z):
    e = (-z).exp()
    return 1 / (1 + e), e / (1 + e) ** 2


DECIMAL = {"tanh": tanh, "logistic": logistic}


@cache
def values(name, step):
    """f² and f'², even parts, at z = 0, step, 2 step, … as decimals, until f'² is below 1e-34 of its start."""
    rows, k = [], 0
    while not rows or rows[-1][2] > Decimal("1e-34"):
        z = k * step
        (f, d), (g, _) = DECIMAL[name](z), DECIMAL[name](-z)
        rows.append((z, (f * f + g * g) / 2, d * d))
        k += 1
    return rows


def moments(name, v):
    """E f(√v ζ)² and E f'(√v ζ)² by the trapezoidal rule, in decimals.

    The rule converges exponentially for analytic integrands that vanish at ±∞. f² does not vanish where v is
    large; its limit at infinity (½ (f(∞)² + f(−∞)²)) is taken off first and added after.
    """
    with localcontext() as context:
        context.prec = 40
        v, pi = Decimal(v), Decimal("3.141592653589793238462643383279502884197")
        limit = {"tanh": Decimal(1), "logistic": Decimal("0.5")}[name]
        if v > 1:  # nodes at fixed z
            step = Decimal(1) / 24
            rows = values(name, step)
        else:  # nodes at fixed ζ, z = √v ζ
            step = v.sqrt() / 24
            rows = []
            for k in range(24 * 14):
                (f, d), (g, _) = DECIMAL[name](k * step), DECIMAL[name](-k * step)
                rows.append((k * step, (f * f + g * g) / 2, d * d))
        second = slope = Decimal(0)
        for k, (z, f2, d2) in enumerate(rows):
            weight = (-z * z / (2 * v)).exp() * (2 if k else 1)
            second += weight * ((f2 - limit) if v > 1 else f2)
            slope += weight * d2
        norm = step / (2 * pi * v).sqrt()
        return second * norm + (limit if v > 1 else 0), slope * norm


def solved(name, gain, sd, near):
    """Δ and χ in decimals, by secants from near the root."""
    with localcontext() as context:
        context.prec = 40
        square, drive = Decimal(gain) ** 2, Decimal(sd) ** 2

        def miss(v):
            return 1 - (square * moments(name, v)[0] + drive) / v

        a, b = Decimal(near) * Decimal("1.001"), Decimal(near) * Decimal("0.9995")
        at_a, at_b = miss(a), miss(b)
        for _ in range(12):
            a, at_a, b = b, at_b, b - at_b * (b - a) / (at_b - at_a)
            at_b = miss(b)
            if abs(b - a) <= abs(b) * Decimal("1e-24"):
                return b, square * moments(name, b)[1]
        raise AssertionError("no convergence")


def error(found, exact):
    return float(abs(Decimal(found) / exact - 1))


def test_every_activation_has_a_mean_field():
    assert {name for name in ACTIVATIONS if fixed_point(name, 0.5, 0.5)[0] > 0} == set(ACTIVATIONS)


@pytest.mark.parametrize("v", [1e-9, 1e-3, 0.0199, 0.0201, 0.3, 0.99, 1.01, 7.0, 400.0, 1e7])
def test_gaussian_means_against_decimals(v):
    second, slope = moments("tanh", v)
    assert error(gaussian.tanh_square(v), second) <= 1e-14
    assert error(gaussian.sech_power(4, v), slope) <= 1e-14
    if v < gaussian.SMALL:
        with localcontext() as context:
            context.prec = 40
            exact = 1 - second / Decimal(v), 1 - slope, slope - second / Decimal(v)
            assert max(error(*pair) for pair in zip(gaussian.series(v), exact, strict=True)) <= 1e-14


TANH = [
    *[(g, 0.0) for g in (1.0001, 1.01, 1.5, 3.0, 40.0, 1e4)],
    *[(1.0, sd) for sd in (1e-6, 1e-3, 0.5)],
    *[(0.3, 1e-5), (0.9, 0.1), (0.999, 1e-3), (1.5, 0.5), (2.5, 3.0), (1e-3, 1e3)],
]
LOGISTIC = [(0.01, 0.0), (1.0, 0.0), (10.0, 0.0), (1e4, 0.0), (0.1, 1e-3), (4.0, 1.0), (12.0, 5.0)]


@pytest.mark.parametrize(
    ("name", "gain", "sd"), [*(("tanh", *c) for c in TANH), *(("logistic", *c) for c in LOGISTIC)]
)
def test_fixed_point_against_decimals(name, gain, sd):
    variance, chi = fixed_point(name, gain, sd)
    exact_variance, exact_chi = solved(name, gain, sd, variance)
    assert error(variance, exact_variance) <= 1e-12
    assert error(chi, exact_chi) <= 1e-12


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("gain", "sd"), [(0.8, 0.5), (0.6, 3.0)])
def test_fixed_point_by_iteration_over_fixed_panels_of_the_engines_activations(name, gain, sd):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.linspace(-12.0, 12.0, 49)  # a panel ends at the kink of relu
    half = np.diff(edges)[:, None] / 2
    zeta = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (half * weights).ravel() * np.exp(-(zeta**2) / 2) / math.sqrt(2 * math.pi)
    v = sd**2
    for _ in range(400):
        v = gain**2 * density @ ACTIVATIONS[name].value(math.sqrt(v) * zeta) ** 2 + sd**2
    chi = gain**2 * density @ ACTIVATIONS[name].derivative(math.sqrt(v) * zeta) ** 2
    assert fixed_point(name, gain, sd) == pytest.approx((v, chi), rel=1e-12)


def lyapunov(name, gain, sd):
    return theory.MeanField(gain, sd, *fixed_point(name, gain, sd)).lyapunov


def test_values_of_the_literature():
    assert lyapunov("tanh", 1.5, 0.0) == pytest.approx(0.065217, abs=5e-7)
    assert lyapunov("tanh", 3.0, 0.0) == pytest.approx(0.310249, abs=5e-7)
    assert lyapunov("tanh", 1.5, 0.5) == pytest.approx(-0.0167, abs=5e-5)
    assert critical_input("tanh", 1.5) == pytest.approx(0.43144, abs=1e-5)
    assert critical_gain("logistic", 0.0) == pytest.approx(10.149, abs=1e-3)
    assert critical_gain("relu", 0.7) == pytest.approx(math.sqrt(2), rel=1e-15)  # He et al. 2015


@pytest.mark.parametrize("name", SOLVED)
@pytest.mark.parametrize("sd", [0.0, 1e-4, 0.05, 0.43, 2.0, 50.0, 1e4])
def test_the_critical_gain_is_where_chi_is_1_and_leads_back_to_the_input(name, sd):
    gain = critical_gain(name, sd)
    variance, chi = fixed_point(name, gain, sd)
    assert chi == pytest.approx(1, abs=1e-14)
    if variance:
        exact_variance, exact_chi = solved(name, gain, sd, variance)
        assert error(variance, exact_variance) <= 1e-12
        assert abs(exact_chi - 1) <= Decimal("1e-14")
    back = critical_input(name, gain)
    # at small inputs the gain, in its last digit, cannot tell them apart
    assert fixed_point(name, gain, back)[1] == pytest.approx(1, abs=1e-13)
    if name == "tanh" or sd > 1:
        assert back == pytest.approx(sd, rel=1e-10)


@pytest.mark.parametrize("over", [1e-12, 3e-9, 7e-8, 1e-6, 1e-3])
def test_the_critical_line_of_tanh_leaves_the_silent_state_as_its_expansion_says(over):
    # Δ = ε/2 (1 + 3/4 ε), ε = g² − 1: from χ = g² (1 − 2Δ + 7Δ²) = 1; σ² = g² Δ (4/3 Δ² − 32/3 Δ³)
    gain = 1 + over
    epsilon = (gain - 1) * (gain + 1)
    delta = epsilon / 2 * (1 + 0.75 * epsilon)
    wanted = math.sqrt(gain**2 * delta * (4 / 3 * delta**2 - 32 / 3 * delta**3))
    assert critical_input("tanh", gain) == pytest.approx(wanted, rel=10 * epsilon**2 + 1e-13, abs=0)


@pytest.mark.parametrize(
    ("name", "gain", "said"),
    [("tanh", 0.9, "0.81"), ("logistic", 10.0, "10.1493"), ("relu", 1.3, "0.845"), ("identity", 2.0, "4")],
)
def test_where_nothing_is_critical_the_error_says_over_what_range(name, gain, said):
    with pytest.raises(Unreachable, match="0 … ∞") as raised:
        critical_input(name, gain)
    assert said in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_relu_and_identity_in_closed_form():
    assert fixed_point("relu", 1.2, 0.5) == pytest.approx((0.25 / (1 - 0.72), 0.72), rel=1e-15)
    assert fixed_point("identity", 0.6, 0.5) == pytest.approx((0.25 / 0.64, 0.36), rel=1e-15)
    assert fixed_point("relu", 1.2, 0.0) == pytest.approx((0, 0.72))
    assert fixed_point("relu", 1.5, 0.5) == fixed_point("relu", 1.5, 0.0) == (math.inf, 1.125)
    assert fixed_point("identity", 1.0, 0.5) == (math.inf, 1.0)
    assert math.isnan(fixed_point("identity", 1.0, 0.0)[0])


def test_the_ends_of_the_range():
    assert fixed_point("tanh", 0.5, 0.0) == (0.0, 0.25)
    assert fixed_point("tanh", 1.0, 0.0) == (0.0, 1.0)
    assert fixed_point("logistic", 0.0, 0.0) == (0.0, 0.0)
    assert fixed_point("tanh", 0.0, 2.0) == (4.0, 0.0)
    assert critical_gain("tanh", 0.0) == 1.0
    assert critical_input("tanh", 1.0) == 0.0
    # for g → ∞: Δ = g², χ = g · (4/3)/√(2π), as ∫ sech⁴ = 4/3
    assert fixed_point("tanh", 1e90, 0.0) == pytest.approx((1e180, 1e90 * 4 / 3 / math.sqrt(2 * math.pi)))
    assert fixed_point("tanh", 1e101, 0.0)[0] == math.inf
    assert theory.MeanField(0.0, 0.0, *fixed_point("tanh", 0.0, 0.0)).lyapunov == -math.inf
    for wrong in (-1.0, math.nan):
        with pytest.raises(InvalidPoint, match="from 0"):
            fixed_point("tanh", wrong, 0.0)
        with pytest.raises(InvalidPoint, match="from 0"):
            critical_gain("tanh", wrong)
    with pytest.raises(InvalidPoint, match="did you mean 'tanh'"):
        fixed_point("tahn", 1.0, 0.0)


SMALL = dict(hidden_size=30, input_size=5, length=40, batch_size=3)


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_gain_and_input_of_a_point_come_from_its_arrays(weights):
    point = Point(weights=weights, gamma=1.3, gamma_kind="gain", input_scale=0.7, seed=4, **SMALL)
    p = trace(point).parameters
    m = mean_field(point)
    assert m.gain == pytest.approx(np.linalg.norm(p["U"]) / math.sqrt(30), rel=1e-11)
    assert m.input_sd == pytest.approx(0.7 * np.linalg.norm(p["W"]) / math.sqrt(30), rel=1e-11)
    assert (m.variance, m.chi) == fixed_point("tanh", m.gain, m.input_sd)
    assert m.gamma == math.sqrt(m.chi)
    if weights == "orthogonal":
        assert m.gain == 1.3
    assert mean_field(point.replace(input="uniform")) == m
    assert mean_field(point.replace(input="zero")).input_sd == 0
    assert mean_field(point.replace(input="impulse")).input_sd == 0


def test_own_arrays_and_inputs():
    rng = np.random.default_rng(0)
    U, W, b = rng.normal(size=(30, 30)), rng.normal(size=(30, 5)), rng.normal(size=30)
    x = 1 + rng.normal(size=(40, 3, 5))
    point = Point(activation="logistic", **SMALL)
    m = mean_field(point, {"U": U, "W": W, "b": b}, x)
    assert m.gain == pytest.approx(math.sqrt((U**2).sum() / 30), rel=1e-11)
    assert m.input_sd == pytest.approx(math.sqrt(((x @ W.T + b) ** 2).mean()), rel=1e-11)
    without = mean_field(point.replace(input="zero"), {"b": b})
    assert without.input_sd == pytest.approx(math.sqrt((b**2).mean()), rel=1e-11)
    assert without.gain == mean_field(point).gain
    huge = mean_field(point, {"U": np.full((30, 30), 1e300)})
    assert (huge.gain, huge.variance) == (pytest.approx(1e300 * math.sqrt(30), rel=1e-11), math.inf)
    assert math.isnan(huge.chi)
    assert math.isnan(huge.gamma)


def test_only_the_simple_cell_has_it():
    for cell in ("linear", "residual", "lstm"):
        with pytest.raises(InvalidPoint, match="give cell = 'simple'"):
            mean_field(Point(cell=cell))


WIDE = dict(gamma_kind="gain", hidden_size=250, input_size=250, batch_size=2, length=100, loss_times="last")


@pytest.mark.parametrize(
    ("changes", "within"),  # of the mean over 8 seeds: three standard errors and the finite-size shift
    [
        (dict(activation="tanh", gamma=1.5, input_scale=0.5), 0.012),
        (dict(activation="tanh", gamma=0.8, input_scale=0.5), 0.015),
        (dict(activation="tanh", gamma=1.5, input="impulse"), 0.025),  # autonomous after its first step
        (dict(activation="relu", gamma=1.2), 0.025),
        (dict(activation="logistic", gamma=6.0, input="uniform"), 0.04),  # its mean is frozen: larger spread
        (dict(activation="identity", gamma=0.9), 0.05),
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_a_wide_network_does_what_the_mean_field_says(weights, changes, within):
    points = [Point(weights=weights, seed=seed, **WIDE, **changes) for seed in range(8)]
    with threadpool_limits(1):  # a QR on two busy cores is fifty times slower
        realised = np.log(measure(points)["gamma_realised"].to_numpy())
        expected = np.array([mean_field(point).lyapunov for point in points])
    assert abs((realised - expected).mean()) <= within
    # what ln γ would be if nothing saturated is far outside
    silent = np.log(points[0].gamma * ACTIVATIONS[changes["activation"]].slope)
    if changes["activation"] != "identity":
        assert abs((silent - expected).mean()) > 5 * within


def test_no_warning_of_quadrature_over_the_plane():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SOLVED:
            for gain in np.geomspace(1e-3, 1e3, 9):
                for sd in (0.0, *np.geomspace(1e-3, 1e3, 5)):
                    variance, chi = fixed_point(name, float(gain), float(sd))
                    assert 0 <= variance < math.inf
                    assert 0 < chi <= gain**2


def test_the_probe_gives_the_theory_of_the_points_own_arrays_and_inputs():
    found = row(
        Point(weights="gaussian", gamma=1.5, gamma_kind="gain", input_scale=0.5), probes=["mean_field"]
    )
    point = Point(weights="gaussian", gamma=1.5, gamma_kind="gain", input_scale=0.5)
    wanted = theory.mean_field(point)
    assert (found["gamma_mean_field"], found["mean_field_chi"]) == (wanted.gamma, wanted.chi)
    assert found["mean_field_variance"] == wanted.variance
    # own arrays: g² = N·(mean square of U), σ² = mean square of W x + b, of these very inputs
    rng = np.random.default_rng(4)
    small = point.replace(length=30, hidden_size=6, input_size=2, batch_size=3)
    own = {"U": rng.standard_normal((6, 6)), "W": rng.standard_normal((6, 2)), "b": rng.standard_normal(6)}
    x = rng.standard_normal((30, 3, 2))
    g = np.sqrt((own["U"] ** 2).sum() / 6)
    sd = np.sqrt(((x @ own["W"].T + own["b"]) ** 2).mean())
    one = row(small, probes=["mean_field"], parameters=own, inputs=x)
    assert one["mean_field_chi"] == pytest.approx(theory.fixed_point("tanh", g, sd)[1], rel=1e-10)


def test_a_network_that_nothing_moves_grows_by_its_gain():
    found = row(Point(gamma=1.3, input="zero"), probes=["mean_field", "lyapunov"])
    assert found["gamma_mean_field"] == pytest.approx(1.3, rel=1e-12)
    assert found["gamma_lyapunov"] == pytest.approx(1.3, rel=1e-12)


def test_a_calibrated_point_has_the_mean_field_of_the_gain_that_was_found():
    point = Point(gamma=0.9, gamma_kind="realised", length=6, hidden_size=16, input_scale=0.5)
    with pytest.raises(InvalidPoint, match="the gain is found by calibration; give arrays"):
        mean_field(point)
    found = row(point, probes=["mean_field"])
    gain = mean_field(point, trace(point).parameters).gain
    assert gain == pytest.approx(found["knob"], rel=1e-10)
    assert found["mean_field_chi"] == pytest.approx(
        fixed_point("tanh", gain, mean_field(point, trace(point).parameters).input_sd)[1], rel=1e-10
    )
