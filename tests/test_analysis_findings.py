"""Sentences computed from curves whose slopes and horizons are known."""

import math
import re

import analysis_frames as make
import numpy as np
import pytest
from longlag.analysis.findings import findings
from longlag.analysis.load import Frames
from longlag.analysis.variants import variants
from scipy import stats

NOISE = (-0.01, 0.005, 0.01, -0.01, 0.005)


def said(frames):
    return {finding.matter: finding.sentences for finding in findings(frames)}


def frames_of(some, rate, **more):
    return Frames.of(**make.frames(some, rate, **more))


@pytest.fixture(scope="module")
def spoken():
    some = make.points(cell="simple", activation=["tanh", "relu"], gamma=[0.9, 1.0, 1.5], length=256)
    some += make.points(cell=["linear", "lstm_1997"], gamma=[0.9, 1.0, 1.5], length=256)
    some += make.points(cell=["lstm", "gru"], gamma=[0.9, 0.99], length=256)

    def rate(p):
        if p.cell == "simple":
            fast = {"tanh": 0.5, "relu": 0.25 - 0.5 * (p.gamma == 1.5)}[p.activation]
            return -fast + NOISE[p.seed]
        return math.log(p.gamma) / 2 if p.cell == "lstm" else math.log(p.gamma)

    return said(frames_of(some, rate, gates=2 * math.log(0.99)))


def brackets(values, places):
    """A t-interval of the logarithm over seeds, as SciPy has it."""
    ln = np.log(values)
    low, high = np.exp(stats.t.interval(0.95, len(ln) - 1, ln.mean(), stats.sem(ln)))
    return f"[{low:.{places}f}, {high:.{places}f}]"


def plain(values, places):
    """A t-interval of the values themselves."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return f"[{low:.{places}f}, {high:.{places}f}]"


def test_reach(spoken):
    first, second = spoken["Reach"]
    tanh, relu = (brackets(math.log(0.01) / (rate + np.array(NOISE)), 1) for rate in (-0.5, -0.25))
    assert first == (
        f"At nominal γ = 1 the simple tanh network keeps 1 % of the error for 9.2 steps {tanh} and the simple "
        f"ReLU network for 18.4 steps {relu}."
    )
    assert second == (
        "The linear loop with a loop weight of 1, the LSTM of 1997 with a carousel weight of 1, the LSTM with its "
        "forget gate at 0.99 and the GRU with its keep gate at 0.99 keep 1 % of the error for more than 255 steps."
    )


def test_a_censored_horizon_is_always_more_than(spoken):
    text = " ".join(sentence for sentences in spoken.values() for sentence in sentences)
    assert len(re.findall(r"255 steps", text)) == len(re.findall(r"more than 255 steps", text)) > 0


def test_bound(spoken):
    first, second = spoken["The bound"]
    tanh, relu = (plain(-255 / math.log(10) * (rate + np.array(NOISE)), 1) for rate in (-0.5, -0.25))
    assert first == (
        f"At nominal γ = 1 the simple tanh network stays below its bound at lag 255 by 55.4 decades {tanh} "
        f"(10^−55.4 is left) and the simple ReLU network by 27.7 decades {relu} (10^−27.7 is left)."
    )
    assert second == "The linear loop with a loop weight of 1 meets its bound exactly."


def test_realised_gamma(spoken):
    first, second, third = spoken["Realised γ"]
    interval = brackets(np.exp(-0.5 + np.array(NOISE)), 3)
    assert first.startswith(
        f"At nominal γ = 1 the simple tanh network has a realised γ of 0.607 {interval} and"
    )
    assert second.startswith("The LSTM with its forget gate at 0.99 has a realised γ of 0.995")
    assert third == (
        "A realised γ of 1, where the error would keep its size, is not reached in this study (at most 0.607, at "
        "γ = 0.9) in the simple tanh network; reached between γ = 1 and 1.5 in the simple ReLU network."
    )


def test_growth_and_gates(spoken):
    (growth,) = spoken["Growth"]
    assert "the linear loop from γ = 1.5 (up to 10^44.9 times at γ = 1.5)" in growth
    low, high = plain(255 / math.log(10) * (0.25 + np.array(NOISE)), 1)[1:-1].split(", ")
    assert (
        f"the simple ReLU network from γ = 1.5 (up to 10^27.7 times [10^{low}, 10^{high}] at γ = 1.5)"
        in growth
    )
    assert "tanh" not in growth
    (gates,) = spoken["Gates"]
    assert gates == (
        "The LSTM with its forget gate at 0.99 carries, at lag 255, 1.7 decades more than the product of its gates "
        "(0.28 against 0.0059); the GRU with its keep gate at 0.99 carries 1.1 decades more than the product of "
        "its gates (0.077 against 0.0059)."
    )


def test_changes_are_paired(spoken):
    first, *_ = spoken["What a change does"]
    assert first.startswith(
        "Seed by seed at γ = 1, and against the simple tanh network, the gradient reaches 2.00 times as far"
    )
    assert "more than 27 times as far in the linear loop and the LSTM of 1997" in first


def test_each_change_is_said_at_its_own_gamma():
    """Where a variant shares no γ near one, it is compared at another, and the sentence says at which."""
    some = make.points(3, cell="simple", activation=["tanh", "relu"], gamma=[0.9, 1.0], length=64)
    some += make.points(3, cell="memory", gamma=[0.9, 0.99], length=64)
    slow = {"tanh": -0.4, "relu": -0.2, None: math.log(0.9)}
    spoken = said(
        frames_of(some, lambda p: slow[p.activation if p.cell == "simple" else None] + NOISE[p.seed])
    )
    at_one, below = spoken["What a change does"]
    assert at_one.startswith("Seed by seed at γ = 1, ")
    assert below.startswith("Seed by seed at γ = 0.9, ")
    assert [name in at_one for name in ("ReLU", "memory")] == [True, False]
    assert [name in below for name in ("ReLU", "memory")] == [False, True]


def test_a_calibrated_gamma_has_its_nominal_one_and_no_crossing():
    some = make.points(5, gamma_kind="realised", gamma=[0.9, 1.0], length=256)
    frames = make.frames(some, lambda p: math.log(p.gamma) - 0.02 + NOISE[p.seed])
    nominal = 1.5 * np.exp(3 * np.array(NOISE))
    frames["runs"]["gamma_nominal"] = nominal[frames["runs"]["seed"].astype(int)]
    spoken = said(Frames.of(**frames))
    mean = math.exp(float(np.log(nominal).mean()))
    assert spoken["Calibration"] == [
        f"At realised γ = 1 the simple tanh network takes a nominal γ of {mean:.3f} {brackets(nominal, 3)}."
    ]
    assert len(spoken["Realised γ"]) == 1  # and no word of where a realised γ of one is reached


def test_growth_of_the_gradient_with_the_length():
    """‖∂L/∂W‖ = √(2L)·T^p is said to grow with the power p, whatever the loss does; two lengths are no law."""
    some = make.points(5, cell="linear", length=[16, 64, 256])
    powers = 1 + np.array(NOISE)
    for lengths, matters in ((3, True), (2, False)):
        frames = make.frames([p for p in some if p.length in (16, 64, 256)[:lengths]], lambda p: 0.0)
        runs = frames["runs"]
        seed, T = runs["seed"].astype(int), runs["length"].astype(float)
        runs["loss_value"] = 0.3 * T**1.7
        runs["ln_grad_norm_W"] = powers[seed] * np.log(T) + 0.5 * np.log(2 * runs["loss_value"])
        spoken = said(Frames.of(**frames))
        assert ("Length" in spoken) is matters
        if matters:
            assert spoken["Length"][0].endswith(f"grows like T to the power 1.00 {plain(powers, 2)}.")


def test_points(spoken):
    assert spoken["Points"] == ["All 80 points are ok."]


@pytest.mark.parametrize(
    ("censored", "sentence"),
    [
        (1, "for a median of 18.4 steps (1 of 5 seeds: more than 63 steps)"),
        (3, "for more than 63 steps in 3 of 5 seeds, the shortest 18.4"),
        (5, "for more than 63 steps."),
    ],
)
def test_some_seeds_censored(censored, sentence):
    some = make.points(5, length=64)
    (text,) = said(frames_of(some, lambda p: 0.0 if p.seed < censored else -0.25))["Reach"]
    assert sentence in text


def test_one_seed_has_no_interval():
    (text,) = said(frames_of(make.points(1, length=64), lambda p: -0.5))["Reach"]
    assert text == "At nominal γ = 1 the simple tanh network keeps 1 % of the error for 9.2 steps (n = 1)."


def test_equal_seeds_are_said_to_be_equal():
    (text,) = said(frames_of(make.points(3, length=64), lambda p: -0.5))["Reach"]
    assert text.endswith("for 9.2 steps in every seed.")


def test_many_variants_are_not_all_named():
    some = make.points(2, hidden_size=list(range(2, 32)), length=16)
    text = " ".join(said(frames_of(some, lambda p: -0.1 * p.hidden_size))["Reach"])
    assert text.count("network") == 4
    assert "the least and the most of 30 variants" in text


def test_of_equal_sizes_only_equal_words_are_said_of_all():
    some = make.points(2, hidden_size=list(range(2, 14)), length=16)
    (text, rest) = said(frames_of(some, lambda p: 0.0))["Reach"]
    assert rest == "So it is for the other 8 variants."
    assert text.count("network") == 4
    (_, rest) = said(frames_of(some, lambda p: 0.0 if p.seed or p.hidden_size > 2 else -1.0))["Reach"]
    assert "So it is" not in rest


def test_statuses_are_counted():
    some = make.points(3, cell=["simple", "linear"], gamma=[1.0, 1.2], length=16)
    states = {1.0: "ok", 1.2: "overflow"}
    spoken = said(frames_of(some, lambda p: -0.1, status=lambda p: states[p.gamma]))
    assert spoken["Points"] == ["6 of 12 points are ok; 6 points out of range (simple tanh; linear loop)."]


@pytest.mark.parametrize("status", ["dead", "error", "unreachable", "no_signal", "overflow", "missing"])
def test_no_point_is_ok(status):
    spoken = said(frames_of(make.points(2, length=16), lambda p: -0.1, status=lambda p: status))
    assert list(spoken) == ["Points"]
    assert spoken["Points"][0].startswith("0 of 2 points are ok")


def test_no_points():
    frames = Frames.of(make.frames(make.points(1), lambda p: -0.1)["runs"].iloc[:0])
    assert said(frames) == {"Points": ["No point of this study has a result yet."]}
    assert variants(frames.runs.drop(columns="variant"))[1] == {}
