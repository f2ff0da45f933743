"""The tables of every analysis, on curves whose slopes and horizons are known."""

import math

import analysis_frames as make
import numpy as np
import pandas as pd
import pytest
from longlag.analysis import compare, coverage, curves, decay, horizon, phase, saturation
from longlag.analysis.load import Frames, points_frame
from longlag.analysis.variants import pick, variants
from longlag.workers.points import Point
from scipy import stats

NOISE = (-0.02, 0.01, 0.03, -0.04, 0.02)


def rate(point):
    """tanh decays at −0.5 and logistic 0.1 faster, both with the noise of their seed; gates at ln γ."""
    if point.cell != "simple":
        return math.log(point.gamma)
    return -0.5 - 0.1 * (point.activation == "logistic") + NOISE[point.seed]


@pytest.fixture(scope="module")
def some():
    simple = make.points(cell="simple", activation=["tanh", "logistic"], gamma=[0.9, 1.0], length=[16, 64])
    return [*simple, *make.points(cell="lstm", gamma=[0.5, 0.99], length=[16, 64])]


@pytest.fixture(scope="module")
def frames(some):
    return Frames.of(**make.frames(some, rate, gates=math.log(0.4)), title="closed form")


def one(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


# -- variants ----------------------------------------------------------------------------------------------------


def labels(some):
    return list(variants(points_frame(some))[1])


def test_variants_are_called_as_people_call_them(frames):
    assert list(frames.variants) == ["simple tanh", "simple logistic", "LSTM"]
    assert frames.variants["simple tanh"].noun == "simple tanh network"
    assert frames.variants["LSTM"].at(0.99) == "with its forget gate at 0.99"
    assert frames.variants["simple tanh"].at(1.0) == "at nominal γ = 1"
    assert [v.bounded for v in frames.variants.values()] == [True, True, False]


def test_gamma_is_the_largest_of_chrono_gates():
    for axes in ({"gate_init": "chrono"}, {"gate_init": ["chrono"], "gate_bias": [0.0, 1.0]}):
        for variant in variants(points_frame(make.points(cell="gru", gamma=0.9, **axes)))[1].values():
            assert variant.at(0.9) == "with its largest keep gate at 0.9"
            assert "chrono" not in variant.label  # it does not vary


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ({"cell": "gru", "reset": ["before", "after"]}, ["GRU, reset before", "GRU, reset after"]),
        ({"cell": "simple", "hidden_size": [128, 16]}, ["simple tanh, N = 16", "simple tanh, N = 128"]),
        ({"cell": ["lstm", "simple"], "dtype": ["float32", "float64"]}, None),
        ({"cell": "residual", "leak": [0.1, 0.5]}, ["residual tanh, leak 0.1", "residual tanh, leak 0.5"]),
        (
            {"cell": "memory", "activation": ["tanh", "relu"]},
            ["memory cell, g = tanh", "memory cell, g = ReLU"],
        ),
        (
            {"cell": "simple", "gamma_kind": ["nominal", "gain"]},
            ["simple tanh, γ the norm", "simple tanh, γ the gain"],
        ),
        ({"cell": "simple", "loss_times": ["last", "every", 4], "length": 8}, None),
        ({"cell": "linear"}, ["linear loop"]),
        (
            {"cell": ["lstm_peephole", "mingru"], "gate_init": ["constant", "chrono"]},
            [
                *("peephole LSTM, constant gates", "peephole LSTM, chrono gates"),
                *("minGRU, constant gates", "minGRU, chrono gates"),
            ],
        ),
        (
            {"cell": "lstm_1997", "gradient": ["truncated", "full"]},
            ["LSTM of 1997, full gradient", "LSTM of 1997, truncated gradient"],
        ),
        ({"cell": "diagonal", "rho_min": [0.9, 0.0]}, ["diagonal, ρ from 0 γ", "diagonal, ρ from 0.9 γ"]),
    ],
)
def test_variants_of_any_study(axes, names):
    found = labels(make.points(**axes, gamma=0.9))
    assert len(set(found)) == len(found) == math.prod(len(v) for v in axes.values() if isinstance(v, list))
    assert names is None or found == names


def test_picked_gammas_have_the_ends_and_the_one_that_must_be():
    assert pick(pd.Series([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]), 3, 0.9) == [0.5, 0.9, 1.1]
    assert pick(pd.Series([1.0, 1.0]), 5, 1.0) == [1.0]


# -- decay and horizon -------------------------------------------------------------------------------------------


def test_decay(frames):
    row = one(decay.table(frames), variant="simple logistic", gamma=1.0, length=64)
    slopes = -0.6 + np.array(NOISE)
    low, high = stats.t.interval(0.95, 4, slopes.mean(), stats.sem(slopes))
    assert (row["decay_rate"], row["n_decay_rate"]) == (pytest.approx(-0.6), 5)
    assert (row["decay_rate_low"], row["decay_rate_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["gamma_realised"] == pytest.approx(math.exp(-0.6))
    assert row["gamma_realised_high"] == pytest.approx(math.exp(high))
    assert row["bound_gap"] == pytest.approx(63 * 0.6)


def test_no_gap_where_there_is_no_bound(frames):
    row = one(decay.table(frames), variant="LSTM", gamma=0.99, length=64)
    assert math.isnan(row["bound_gap"])
    assert row["n_bound_gap"] == 0


def test_horizon(frames):
    row = one(horizon.table(frames), variant="simple tanh", gamma=1.0, length=64, level="horizon_1")
    lags = math.log(0.01) / (-0.5 + np.array(NOISE))
    assert row["centre"] == pytest.approx(stats.gmean(lags))
    assert (row["n"], row["censored"], row["bound"]) == (5, 0, math.inf)
    assert one(horizon.table(frames), variant="simple tanh", gamma=0.9, length=64, level="half_life")[
        "bound"
    ] == pytest.approx(math.log(0.5) / math.log(0.9))


def test_censored_horizon_is_never_the_length(frames):
    row = one(horizon.table(frames), variant="LSTM", gamma=0.99, length=64, level="horizon_1")
    assert (row["kind"], row["centre"], row["limit"]) == ("lower limit", math.inf, 63)
    assert horizon.text(row) == "> 63"


def test_curves_that_end_early_have_no_horizon(some):
    """What an overflow left of a curve is not compared with whole ones; a dead one has fallen all the same."""
    given = make.frames(some, rate, gates=-1.0)
    runs = given["runs"]
    at = (runs["cell"] == "lstm") & (runs["gamma"] == 0.5) & (runs["length"] == 64)
    states = runs["status"].where(~(at & (runs["seed"] == 0)), "overflow")
    given["runs"] = runs.assign(status=states.where(~(at & (runs["seed"] == 1)), "dead"))
    frames = Frames.of(**given)
    assert one(horizon.table(frames), variant="LSTM", gamma=0.5, length=64, level="horizon_1")["n"] == 4
    assert one(decay.table(frames), variant="LSTM", gamma=0.5, length=64)["n_decay_rate"] == 3
    assert one(curves.table(frames), variant="LSTM", gamma=0.5, lag=3)["n"] == 3


def test_nothing_is_averaged_but_seeds(frames, some):
    groups = len({(p.cell, p.activation, p.gamma, p.length) for p in some})
    for table in (decay.table(frames), phase.table(frames)):
        assert len(table) == groups
    assert set(horizon.table(frames)["n"]) == {5}


def test_curves(frames):
    row = one(curves.table(frames), variant="LSTM", gamma=0.5, lag=10)
    assert row["length"] == 64  # only the greatest is drawn
    assert (row["adjoint"], row["bound"]) == (
        pytest.approx(10 * math.log(0.5)),
        pytest.approx(10 * math.log(0.5)),
    )
    assert row["gate_product"] == pytest.approx(10 * math.log(0.4))
    assert math.isnan(one(curves.table(frames), variant="simple tanh", gamma=1.0, lag=10)["gate_product"])


# -- phase and coverage ------------------------------------------------------------------------------------------


def test_phase_in_decades(frames):
    row = one(phase.table(frames), variant="LSTM", gamma=0.5, length=64)
    assert row["decades"] == pytest.approx(63 * math.log10(0.5))
    assert phase.mark(row) == ""


def test_points_that_are_not_ok_are_marked_and_counted():
    some = make.points(cell="simple", gamma=[0.5, 1.0, 1.5, 2.0], length=16)
    states = {0.5: "ok", 1.0: "dead", 1.5: "overflow", 2.0: "error"}

    def status(point):
        return "ok" if point.gamma == 1.5 and point.seed < 3 else states[point.gamma]

    known = make.frames(some[:-2], lambda p: -0.1, status)
    frames = Frames.of(**known, points=points_frame(some))
    rows = {row["gamma"]: row for row in phase.table(frames).to_dict("records")}
    assert [phase.mark(rows[g]) for g in (0.5, 1.0, 1.5, 2.0)] == ["", "d", "o2", "e3 ·2"]
    assert [rows[g]["n"] for g in (0.5, 1.0, 1.5, 2.0)] == [5, 0, 3, 0]
    (row,) = coverage.table(frames).to_dict("records")
    found = {name: row[name] for name in ("points", "ok", "dead", "overflow", "error", "missing")}
    assert found == {"points": 20, "ok": 8, "dead": 5, "overflow": 2, "error": 3, "missing": 2}
    assert coverage.present(coverage.table(frames)) == ["ok", "dead", "overflow", "error", "missing"]


# -- comparisons -------------------------------------------------------------------------------------------------


def test_paired_differences_lose_the_noise_of_the_seed(frames):
    table = compare.paired(frames.fine, "decay_rate", "variant", "simple tanh")
    row = one(table, level="simple logistic", gamma=1.0, length=64)
    assert (row["n"], row["mean"]) == (5, pytest.approx(-0.1))
    assert row["high"] - row["low"] < 1e-12


def test_pairs_are_of_shared_seeds_only():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=6), rng.normal(size=6)
    some = [*make.points(6, activation="tanh"), *make.points(5, activation="relu")]
    rates = {("tanh", i): a[i] for i in range(6)} | {("relu", i): b[i] for i in range(5)}
    frames = Frames.of(**make.frames(some, lambda p: -1 + 0.1 * rates[p.activation, p.seed]))
    (row,) = compare.paired(frames.fine, "decay_rate").to_dict("records")
    low, high = stats.ttest_rel(0.1 * b[:5], 0.1 * a[:5]).confidence_interval()
    assert (row["level"], row["reference"], row["n"]) == ("simple ReLU", "simple tanh", 5)
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))


def test_paired_along_another_axis(frames):
    table = compare.paired(frames.fine, "decay_rate", "gamma")
    row = one(table, variant="LSTM", length=64, level=0.99, reference=0.5)
    assert row["mean"] == pytest.approx(math.log(0.99 / 0.5))


def test_ratios_of_horizons(frames):
    row = one(compare.table(frames), level="simple logistic", gamma=1.0, length=64)
    tanh, logistic = (-0.5 + np.array(NOISE), -0.6 + np.array(NOISE))
    assert row["horizon_kind"] == "ratio"
    assert row["horizon_ratio"] == pytest.approx(stats.gmean(tanh / logistic))


@pytest.mark.parametrize(
    ("tanh", "relu", "kind", "ratio"),
    [
        (-0.5, 0.0, "more than", 63 / 9.2103),
        (0.0, -0.5, "less than", 9.2103 / 63),
        (0.0, 0.0, "unknown", math.nan),
    ],
)
def test_ratios_with_censoring_are_limits(tanh, relu, kind, ratio):
    some = make.points(3, activation=["tanh", "relu"], length=64)
    frames = Frames.of(**make.frames(some, lambda p: tanh if p.activation == "tanh" else relu))
    (row,) = compare.table(frames).to_dict("records")
    assert row["horizon_kind"] == kind
    assert row["horizon_ratio"] == pytest.approx(ratio, rel=1e-4, nan_ok=True)


# -- saturation --------------------------------------------------------------------------------------------------


def simulated(g, gamma, steps, inputs=4, columns=100, units=10_000):
    """Mean of 1 − tanh² and of its logarithm over many columns and units, W ~ N(0, 1/M)."""
    rng = np.random.default_rng(7)
    sums = np.zeros((columns, inputs))
    for _ in range(steps):
        sums = gamma * sums + g(rng.standard_normal((columns, inputs)))
    c = sums @ rng.standard_normal((inputs, units)) / math.sqrt(inputs)
    slope = 1 / np.cosh(np.minimum(abs(c), 300)) ** 2
    return slope.mean(), (math.log(4) - 2 * abs(c) - 2 * np.log1p(np.exp(-2 * abs(c)))).mean()


@pytest.mark.parametrize("gamma", [0.8, 1.0])
@pytest.mark.parametrize(("name", "g"), [("tanh", np.tanh), ("logistic", lambda x: 1 / (1 + np.exp(-x)))])
def test_guide_against_simulation(name, g, gamma):
    law = saturation.law(name, "gaussian", 1.0, 4)
    assert law is not None
    mean, ln_mean = saturation.guide(np.array([64.0]), gamma, law)
    seen, ln_seen = simulated(g, gamma, 64)
    assert mean[0] == pytest.approx(seen, rel=0.12)
    assert ln_mean[0] == pytest.approx(ln_seen, rel=0.06)


def test_guide_approaches_its_closed_form():
    t = np.array([1e3, 1e5])
    for name in ("tanh", "logistic", "relu", "identity"):
        for inputs in (2, 4, 16):
            law = saturation.law(name, "uniform", 0.7, inputs)
            assert law is not None
            assert saturation.guide(t, 1.0, law)[0][1] == pytest.approx(
                saturation.closed_form(t, law)[1], rel=0.02
            )


def test_closed_forms_of_the_textbook():
    """N(0,1) steps: √(2/(πt)), that is 0.0794 at t = 100; tanh of N(0,1) inputs has variance 0.3943."""
    steps = saturation.Law(0.0, 1.0, 10**6)
    assert saturation.guide(np.array([100.0, 1000.0]), 1.0, steps)[0] == pytest.approx(
        [0.0794, 0.0252], rel=0.01
    )
    law = saturation.law("tanh", "gaussian", 1.0, 4)
    assert law is not None
    assert law.sd**2 == pytest.approx(0.3943, abs=1e-4)
    assert saturation.closed_form(np.array([1.0]), law)[0] == pytest.approx(1 / law.sd)
    assert saturation.law("tanh", "impulse", 1.0, 4) is None
    assert saturation.closed_form(np.ones(1), saturation.Law(0.0, 1.0, 1)) is None


def test_saturation_has_a_guide_for_memory_cells_only():
    some = make.points(2, cell=["memory", "linear"], gamma=[1.0], length=40)
    table = saturation.table(Frames.of(**make.frames(some, lambda p: 0.0)))
    row = one(table, variant="memory cell", step=40)
    assert row["mean"] == pytest.approx(1 / math.sqrt(40))
    assert row["guide"] == pytest.approx(0.24, abs=0.02)
    assert math.isnan(one(table, variant="linear loop", step=40)["guide"])


def test_every_table_of_no_points_is_empty():
    runs = make.typed(pd.DataFrame([make.run(Point(), -0.5)])).iloc[:0]
    frames = Frames.of(runs)
    for module in (compare, coverage, curves, decay, horizon, phase, saturation):
        assert module.table(frames).empty
        assert module.shown(module.table(frames)).empty
