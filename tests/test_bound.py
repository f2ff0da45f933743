"""Check 5: the bound of the error term, as a property, for the cells and curves for which it is a theorem."""

import numpy as np
import pytest
from helpers import row
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from longlag.workers import Point, trace

SLOPE = {"tanh": 1.0, "logistic": 0.25, "relu": 1.0, "identity": 1.0}


def tolerance(lag, logs=0.0):
    """The stated one; logarithms that are themselves large, as ``ln_norms`` may be, cannot be held finer."""
    return 1e-14 * lag + 1e-12 + 2 * np.spacing(np.abs(logs))


def matrix(rng, kind, N):
    """Recurrent matrices on which a bound is tight, loose, or tempts to be broken."""
    G = rng.standard_normal((N, N))
    return {
        "gaussian": G,
        "orthogonal": np.linalg.qr(G)[0],
        "symmetric": G + G.T,
        "one direction": np.outer(G[0], G[-1]),
        "not normal": np.triu(G, 1) + 0.5 * np.eye(N),
        "positive": np.abs(G),
    }[kind]


KINDS = ("gaussian", "orthogonal", "symmetric", "one direction", "not normal", "positive")


@st.composite
def networks(draw, cells):
    """A point of a cell with a bound, parameters for it, and its γ: σ_1(U) γ_f in the form of its cell."""
    cell = draw(st.sampled_from(cells))
    activation = None if cell == "diagonal" else draw(st.sampled_from(sorted(SLOPE)))
    leak = draw(st.floats(0.05, 1.0)) if cell == "residual" else None
    N, M, K, B = (draw(st.integers(1, high)) for high in (9, 4, 3, 3))
    N += N % 2 if cell == "diagonal" else 0
    T = draw(st.integers(1, 40))
    loss_times = draw(st.sampled_from(["last", "every"]))
    shape = dict(length=T, hidden_size=N, input_size=M, output_size=K, batch_size=B, loss_times=loss_times)
    point = Point(cell=cell, activation=activation, leak=leak, **shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    norm, spread = draw(st.floats(0.05, 3.0)), draw(st.floats(0.0, 3.0))
    p = {"W": spread * rng.standard_normal((N, M)), "V": rng.standard_normal((K, N)), "d": np.zeros(K)}
    if cell in ("linear", "memory"):
        gamma = norm
        p["a"] = np.array(norm)
    elif cell == "diagonal":
        rho, theta = rng.uniform(-norm, norm, N // 2), rng.uniform(-9, 9, N // 2)
        p |= {"rho": rho, "theta": theta, "b": rng.standard_normal(N)}
        gamma = np.abs(rho).max()
    else:
        U = matrix(rng, draw(st.sampled_from(KINDS)), N)
        U = U / max(np.linalg.norm(U, 2), 1e-9)
        p |= {"U": norm * U, "b": rng.standard_normal(N)}
        gamma = np.linalg.svd(p["U"], compute_uv=False)[0] * SLOPE[activation]
        gamma = gamma if cell == "simple" else (1 - leak) + leak * gamma
    return point, p, rng.standard_normal((T, B, M)), gamma


@settings(deadline=None, max_examples=150)
@given(networks(["simple", "linear", "memory", "diagonal"]))  # for residual the theorem is about the adjoint
def test_5_error_terms_never_exceed_the_bound(network):
    point, p, x, gamma = network
    t = trace(point, parameters=p, inputs=x)
    for r, end in enumerate(t.loss_times):
        lag = end - np.arange(1, end + 1)[:, None]
        first = t.ln_norms[r, end - 1]
        live = np.isfinite(first)
        bound = first[live] + lag * np.log(gamma) if gamma else np.where(lag, -np.inf, first[live])
        assert np.all(bound + tolerance(lag, first[live]) >= t.ln_norms[r, :end, live].T)
        assert np.isneginf(t.ln_norms[r, :end, ~live]).all()


@settings(deadline=None, max_examples=150)
@given(networks(["simple"]))
def test_5_every_step_obeys_the_norm_of_its_own_jacobian(network):
    point, p, x, _ = network
    t = trace(point, parameters=p, inputs=x)
    z = t.net_inputs
    slopes = {
        "tanh": lambda z: 1 / np.cosh(z) ** 2,
        "logistic": lambda z: np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2,
        "relu": lambda z: (z > 0) * 1.0,
        "identity": np.ones_like,
    }[point.activation](z)
    norms = np.linalg.norm(slopes[..., None] * p["U"].T, 2, axis=(-2, -1))  # (T,B)
    with np.errstate(divide="ignore"):
        gain = np.log(norms[:-1])
    for r, end in enumerate(t.loss_times):
        now, after = t.ln_norms[r, : end - 1], t.ln_norms[r, 1:end]
        live = np.isfinite(now)
        assert np.all(now[live] <= (after + gain[: end - 1])[live] + tolerance(1, after[live]))


@settings(deadline=None, max_examples=150)
@given(networks(["simple", "linear", "memory", "residual", "diagonal"]))
def test_5_the_measured_curves_never_exceed_the_bound(network):
    point, p, x, gamma = network
    found = row(point, parameters=p, inputs=x, probes=("curves",))
    assume(found["status"] == "ok")
    lag = np.array(found["lag"])
    assert found["gamma_nominal"] == pytest.approx(gamma, rel=1e-13)
    np.testing.assert_allclose(found["bound"], lag * np.log(gamma), rtol=1e-12, atol=1e-12)
    theorem = ("adjoint",) if point.cell == "residual" else ("adjoint", "delta")
    for kind in theorem:
        assert np.all(np.array(found[kind]) <= lag * np.log(gamma) + tolerance(lag)), kind
    assert found["bound_gap"] >= -tolerance(lag[-1])
    assert found["bound_gap"] == pytest.approx(lag[-1] * np.log(gamma) - found["ln_ratio_end"], abs=1e-11)
