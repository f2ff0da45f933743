"""All pairs, gradients by lag and truncated back-propagation, against plain double sums over a trace."""

import numpy as np
import pytest
from helpers import row, vectors
from longlag.workers import Point, measure, trace
from longlag.workers.cells import CELLS
from longlag.workers.probes import pairs

SMALL = dict(hidden_size=6, input_size=3, output_size=2, batch_size=3)
PAIRS = ("all_pairs", "pair_map")
WINDOWS = ("gradient_by_lag", "truncated_bptt")


@pytest.mark.parametrize("cell", CELLS)
def test_every_pair_is_that_of_a_trace(cell):
    T = 20
    point = Point(cell=cell, length=T, loss_times="every", **SMALL)
    found, ln = row(point, probes=PAIRS), trace(point).ln_norms
    relative = ln - np.stack([ln[t, t] for t in range(T)])[:, None]
    whole = np.array(found["pair_map"], float).reshape(T, T)
    assert found["pair_lag"] == list(range(T))
    for lag in range(T):
        values = np.array([relative[t, t - lag] for t in range(lag, T)])
        assert found["pair_mean"][lag] == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
        quantiles = np.quantile(values, (0.05, 0.5, 0.95))
        names = ("pair_q05", "pair_q50", "pair_q95")
        np.testing.assert_allclose([found[q][lag] for q in names], quantiles, rtol=1e-10, atol=1e-12)
        if lag < T - 1:
            spread = values.mean(axis=1).std(ddof=1)
            assert found["pair_spread"][lag] == pytest.approx(spread, rel=1e-9, abs=1e-12)
        for t in range(lag, T):
            assert whole[t, t - lag] == pytest.approx(relative[t, t - lag].mean(), rel=1e-12, abs=1e-12)
    assert np.isnan(whole[np.triu_indices(T, 1)]).all()
    assert found["pair_spread"][-1] is None or np.isnan(found["pair_spread"][-1])


@pytest.mark.parametrize("cell", CELLS)
def test_pairs_do_not_depend_on_the_points_own_loss_times(cell):
    rows = [
        row(Point(cell=cell, length=30, loss_times=times, **SMALL), probes=PAIRS)
        for times in ("last", "7", "every")
    ]
    for name in ("pair_mean", "pair_spread", "pair_q05", "pair_map"):
        found = [np.array(one[name], float).tobytes() for one in rows]
        assert found[0] == found[1] == found[2], name


@pytest.mark.parametrize("more", [{"activation": "tanh"}, {"activation": "relu", "gamma": 0.5, "seed": 3}])
def test_lags_by_blocks_have_the_same_bits(monkeypatch, more):
    points = [
        Point(cell="simple", length=40, loss_times=times, **SMALL, **more) for times in ("last", "every")
    ]
    whole = [row(point, probes=PAIRS) for point in points]
    for several in (1, 7, 40):
        monkeypatch.setattr(pairs, "_TOGETHER", several * 40 * SMALL["batch_size"])
        for point, before in zip(points, whole, strict=True):
            found = row(point, probes=PAIRS)
            for name in ("pair_mean", "pair_spread", "pair_q05", "pair_q50", "pair_q95"):
                assert np.array(found[name], float).tobytes() == np.array(before[name], float).tobytes()


def truncated(one, window):
    """g_K of every array but V and d: plain sums over t, k with t − k < K; B times the gradient."""
    terms, h = vectors(one), one.states[:-1]
    total = {}
    for r, t in enumerate(one.loss_times):
        for k in range(max(1, t - window + 1), t + 1):
            d = terms[r, k - 1]
            parts = {
                "U": d.T @ h[k - 1, :, : one.point.hidden_size],
                "W": d.T @ one.inputs[k - 1],
                "b": d.sum(axis=0),
            }
            for name, part in parts.items():
                total[name] = total.get(name, 0) + part
    return total


@pytest.mark.parametrize("times", ["last", "4", "every"])
@pytest.mark.parametrize("cell", ["simple", "residual", "lstm"])
def test_truncated_gradients_are_plain_sums(cell, times):
    point = Point(cell=cell, length=45, loss_times=times, **SMALL)
    found, one = row(point, probes=WINDOWS), trace(point)
    whole = {name: 3 * one.gradients[name] for name in ("U", "W", "b")}
    flat = {
        name: np.concatenate([whole[n].ravel() for n in names])
        for name, names in (("all", "UWb"), ("U", "U"))
    }
    assert found["window"] == found["truncation_window"] == [*range(1, 33), 34, 37, 39, 42, 45]
    for i, window in enumerate(found["window"]):
        part = truncated(one, window)
        every = np.concatenate([part[n].ravel() for n in "UWb"])
        own = part["U"].ravel()
        size, norm = np.linalg.norm(flat["all"]), np.linalg.norm(own)
        assert found["truncation_bias"][i] == pytest.approx(
            np.linalg.norm(every - flat["all"]) / size, rel=1e-9, abs=1e-12
        )
        assert found["truncation_ratio"][i] == pytest.approx(np.linalg.norm(every) / size, rel=1e-11)
        cosine = every @ flat["all"] / np.linalg.norm(every) / size
        assert found["truncation_cosine"][i] == pytest.approx(cosine, rel=1e-11)
        assert found["window_share"][i] == pytest.approx(norm / np.linalg.norm(flat["U"]), rel=1e-11)
        assert found["window_ln_norm"][i] == pytest.approx(np.log(norm / 3), rel=1e-11, abs=1e-11)
    within = np.array(found["truncation_bias"]) <= 0.1
    assert (
        found["truncation_90"]
        == found["window"][len(within) - int(np.argmin(within[::-1])) if not within.all() else 0]
    )


def test_truncation_counts_an_array_that_is_there_only_where_it_is_given():
    # at window 1 every array has its last step alone: of b_u that is δ_n ⊙ r
    point = Point(cell="gru", reset="after", length=6, hidden_size=4, input_size=3, batch_size=1, seed=3)
    own = {"b_u": np.array([3.0, -2.0, 4.0, 1.0])}
    found, one = row(point, probes=["truncated_bptt"], parameters=own), trace(point, parameters=own)
    delta, h, x = vectors(one)[0, 5, 0], one.states[5, 0], one.inputs[5, 0]
    r = 1 / (1 + np.exp(-one.net_inputs[5, 0, 4:8]))
    through = np.concatenate([delta[:8], delta[8:] * r])
    last = {"U": np.outer(through, h), "W": np.outer(delta, x), "b": delta, "b_u": through[8:]}
    part, whole = (
        np.concatenate([a[n].ravel() for n in ("U", "W", "b", "b_u")]) for a in (last, one.gradients)
    )
    bias = np.linalg.norm(part - whole) / np.linalg.norm(whole)
    assert found["truncation_bias"][0] == pytest.approx(bias, rel=1e-12)
    assert found["truncation_ratio"][0] == pytest.approx(
        np.linalg.norm(part) / np.linalg.norm(whole), rel=1e-12
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_bias_at_a_level_is_within_it_whatever_the_last_bit_says(dtype):
    # with W = 0 and x = 1 all of the gradient is ∂L/∂W = δ Σ a^ℓ, and the bias a^K: at the levels for K = 1 and 2
    own = {"a": 0.1, "W": np.zeros((1, 1))}
    for seed in range(10):
        point = Point(
            cell="linear", activation="identity", length=60, hidden_size=1, input_size=1, batch_size=3,
            seed=seed, dtype=dtype,
        )  # fmt: skip
        found = row(point, probes=["truncated_bptt"], parameters=own, inputs=np.ones((60, 3, 1)))
        atol = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(found["truncation_bias"][:2], [0.1, 0.01], rtol=0, atol=atol)
        assert (found["truncation_90"], found["truncation_99"]) == (1, 2)


@pytest.mark.parametrize("cell", CELLS)
def test_the_widest_window_holds_the_whole_gradient(cell):
    names = ["truncated_bptt"] + ["gradient_by_lag"] * bool(CELLS[cell].recurrent)
    for times in ("last", "5", "every"):
        found = row(Point(cell=cell, length=70, loss_times=times, **SMALL), probes=names)
        assert found["truncation_bias"][-1] <= 1e-12
        assert found["truncation_cosine"][-1] == pytest.approx(1, abs=1e-12)
        if CELLS[cell].recurrent:
            assert found["window_share"][-1] == pytest.approx(1, abs=1e-12)


def test_a_loop_of_one_unit_loses_what_its_powers_say():
    # g_K/g of the bias of h = u h + b: 1 − u^K over 1 − u^T, here with W = 0 and h's own gradient left out by U = u
    u, T = 0.9, 2000
    point = Point(
        cell="linear",
        gamma=u,
        activation="identity",
        length=T,
        hidden_size=1,
        input_size=1,
        output_size=1,
        batch_size=1,
    )
    found = row(
        point, probes=WINDOWS, parameters={"a": u, "W": [[1.0]], "V": [[1.0]]}, inputs=np.ones((T, 1, 1))
    )
    windows = np.array(found["window"], float)
    # ∂L/∂W = δ Σ u^ℓ; ∂L/∂a = δ Σ u^ℓ s_{T−ℓ−1}, with s = (1 − u^k)/(1 − u)
    lags = np.arange(T)
    by_a = u**lags * (1 - u ** (T - lags - 1.0)) / (1 - u)
    shares = np.cumsum(by_a)[windows.astype(int) - 1] / by_a.sum()
    np.testing.assert_allclose(found["window_share"], shares, rtol=1e-11)
    W = np.cumsum(u**lags)
    left = np.hypot(W[-1] - W[windows.astype(int) - 1], by_a.sum() * (1 - shares)) / np.hypot(
        W[-1], by_a.sum()
    )
    np.testing.assert_allclose(found["truncation_bias"], left, rtol=1e-9, atol=1e-12)
    assert found["truncation_90"] == windows[np.argmax(left <= 0.1)]


def test_windows_beyond_the_range_of_floating_point_numbers():
    point = Point(
        activation="identity", gamma=0.3, length=1500, hidden_size=3, batch_size=1, loss_times="last"
    )
    found = row(point, probes=WINDOWS, inputs=np.concatenate([np.ones((5, 1, 4)), np.zeros((1495, 1, 4))]))
    assert found["status"] == "ok"
    assert found["truncation_bias"][0] > 0
    assert np.isfinite(found["truncation_bias"]).all()
    growing = row(point.replace(gamma=1.3), probes=WINDOWS)
    assert growing["status"] == "ok"
    # error terms grow by 1.3 a lag and states by 1.3 a step: every lag carries the same, but for the first steps
    bias, windows = np.array(growing["truncation_bias"]), np.array(growing["truncation_window"])
    np.testing.assert_allclose(bias, 1 - windows / 1500, atol=0.01)


def test_a_probe_that_a_cell_cannot_have_is_refused_with_the_reason(monkeypatch):
    from longlag.workers.errors import InvalidPoint

    monkeypatch.setattr(CELLS["gru"], "recurrent", ())
    with pytest.raises(
        InvalidPoint, match="'gradient_by_lag': no array of the gru cell multiplies its old state"
    ):
        measure(Point(cell="gru"), probes=["gradient_by_lag"])
    mixed = [Point(cell=cell, length=4, hidden_size=2) for cell in ("gru", "simple")]
    rows = measure(mixed, probes=["gradient_by_lag"]).to_pylist()
    assert [one["window"] is None for one in rows] == [True, False]
