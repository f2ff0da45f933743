"""Tables, figures and sentences of probes by request, on measured rows: numbers against plain pandas and SciPy."""

import math

import analysis_frames as make
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from longlag.analysis import decay, lyapunov, mean_field, report, singular_values, truncation
from longlag.analysis.figures import FIGURES
from longlag.analysis.figures.sheet import picture
from longlag.analysis.findings import findings
from longlag.analysis.load import from_rows
from longlag.workers.measure import measure
from longlag.workers.probes import DEFAULT_PROBES
from scipy import stats

PROBES = (
    *(*DEFAULT_PROBES, "path", "lyapunov", "jacobian"),
    *("gradient_by_lag", "truncated_bptt", "mean_field"),
)
FURTHER = ["mean_field", "singular_values", "lyapunov", "truncation"]
TABLES = ["mean_field", "lyapunov", "lyapunov_spectrum", "singular_values", "truncation", "truncation_curves"]
SMALL = {"hidden_size": 5, "batch_size": 2, "input_scale": 0.5}
GAMMAS = [0.8, 1.0, 1.2]


def rows_of(some, probes=PROBES):
    shapes = {}
    for point in some:
        shapes.setdefault(point.shape, []).append(point)
    tables = []
    for several in shapes.values():
        own = [p for p in probes if p != "mean_field" or several[0].cell == "simple"]
        tables.append(measure(several, probes=own))
    return pa.concat_tables(tables, promote_options="default")


@pytest.fixture(scope="module")
def rows():
    some = make.points(3, cell="simple", activation=["tanh", "relu"], gamma=GAMMAS, length=[12, 24], **SMALL)
    return rows_of(some + make.points(3, cell="lstm", gamma=[0.9, 0.99], length=24, **SMALL))


@pytest.fixture(scope="module")
def frames(rows):
    return from_rows(rows)


@pytest.fixture(scope="module")
def runs(rows):
    return pd.DataFrame(rows.to_pylist())


def tanh(runs, gamma=1.0, length=24):
    """The seeds of one group, as they were measured."""
    return runs[(runs.activation == "tanh") & (runs.gamma == gamma) & (runs.length == length)]


def one(table, label="simple tanh", gamma=1.0, length=24, **more):
    rows = table[(table["variant"] == label) & (table["gamma"] == gamma) & (table["length"] == length)]
    for name, value in more.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def interval(values):
    """Mean and t-interval, as SciPy has them."""
    values = np.asarray(values, float)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return (values.mean(), values.mean() - half, values.mean() + half)


# -- tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gamma_path", "gamma_lyapunov", "gamma_realised"])
def test_every_gamma_is_a_geometric_mean_over_seeds(name, frames, runs):
    row = one(decay.table(frames))
    expected = np.exp(interval(np.log(tanh(runs)[name])))
    assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == pytest.approx(list(expected), rel=1e-9)
    assert row[f"n_{name}"] == 3


def test_path_and_lyapunov_columns_are_only_where_they_were_measured():
    plain = from_rows(measure(make.points(2, length=24, **SMALL)))
    assert not {"gamma_path", "gamma_lyapunov"} & set(decay.table(plain))


def test_windows_over_seeds(frames, runs):
    for gamma in GAMMAS:
        for length in (12, 24):
            row = one(truncation.table(frames), gamma=gamma, length=length)
            seeds = tanh(runs, gamma, length)["truncation_90"]
            centre, low, high = np.exp(interval(np.log(seeds)))
            assert row["truncation_90"] == pytest.approx(centre)
            if np.ptp(seeds):
                assert row["truncation_90_low"] == pytest.approx(max(low, 1))
                assert row["truncation_90_high"] == pytest.approx(min(high, length))


def test_curves_of_truncation_over_seeds(frames, runs):
    table = truncation.curves(frames)
    for name, column in (
        ("bias", "truncation_bias"),
        ("cosine", "truncation_cosine"),
        ("share", "window_share"),
    ):
        lists = np.array(tanh(runs)[column].tolist())
        for K in (1, 7, 24):
            mean, low, high = interval(lists[:, K - 1])
            row = one(table, window=K)
            assert row[name] == pytest.approx(mean, abs=1e-12)
            assert [row[f"{name}_low"], row[f"{name}_high"]] == pytest.approx(
                [low, high], nan_ok=True, abs=1e-12
            )


def test_spectra_over_seeds(frames, runs):
    lists = np.array(tanh(runs)["lyapunov_spectrum"].tolist())
    for i in (1, 3, 5):
        row = one(lyapunov.spectrum(frames), index=i)
        assert [row["exponent"], row["low"], row["high"]] == pytest.approx(interval(lists[:, i - 1]))
        assert row["share"] == i / 5
    row, dimensions = one(lyapunov.table(frames)), tanh(runs)["kaplan_yorke"]
    assert [row["exponent"], row["low"], row["high"]] == pytest.approx(interval(lists[:, 0]))
    assert row["dimension"] == pytest.approx(dimensions.mean())
    assert [row["dimension_least"], row["dimension_most"]] == [dimensions.min(), dimensions.max()]


def test_an_exponent_that_is_minus_infinity_in_a_seed_has_no_mean(rows):
    some = rows.to_pylist()
    relu = [
        row
        for row in some
        if (row["activation"], row["length"], row["gamma"], row["status"]) == ("relu", 24, 1.0, "ok")
    ]
    finite = np.array([row["lyapunov_spectrum"] for row in relu])
    relu[0]["lyapunov_spectrum"][-2:] = [
        -math.inf
    ] * 2  # whether rounding leaves one is the processor's affair
    frames = from_rows(pa.Table.from_pylist(some, schema=rows.schema))
    for i, values in enumerate(finite.T, start=1):
        row = one(lyapunov.spectrum(frames), "simple ReLU", index=i)
        assert np.isneginf(row["exponent"]) == (i > 3 or np.isneginf(values).any())


def test_singular_values_over_seeds(frames, runs):
    group = tanh(runs)
    lags = group["jacobian_lag"].iloc[0]
    every = np.array(group["jacobian_ln_singular"].tolist(), float).reshape(3, len(lags), 5)
    largest = np.array(group["jacobian_ln_max"].tolist())
    for place in (0, 3, len(lags) - 1):
        row = one(singular_values.table(frames), lag=lags[place])
        assert [row["ln_max"], row["ln_max_low"], row["ln_max_high"]] == pytest.approx(
            interval(largest[:, place])
        )
        for i in range(5):
            fan = one(singular_values.fan(frames), lag=lags[place], index=i + 1)
            expected = every[:, place, i]
            if np.isnan(expected).any():
                assert math.isnan(fan["ln_singular"])
            else:
                assert fan["ln_singular"] == pytest.approx(expected.mean())


def test_a_condition_that_is_no_number_in_a_seed_has_no_mean(frames, runs):
    table = singular_values.table(frames)
    for activation, label in (("tanh", "simple tanh"), ("relu", "simple ReLU")):
        group = runs[(runs.activation == activation) & (runs.length == 24) & (runs.gamma == 1.0)]
        group = group[group.status == "ok"]
        known = np.isfinite(np.array(group["jacobian_ln_condition"].tolist(), float)).all(axis=0)
        part = table[(table.variant == label) & (table.gamma == 1.0) & (table.length == 24)]
        assert part["ln_condition"].notna().tolist() == known.tolist()


# -- mean field --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nominal", "gain", "radius"])
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
def test_the_curve_goes_through_what_the_worker_measured(kind, weights, activation):
    """Of one seed the curve, which is drawn from γ = 1, is at each γ what the probe has of those arrays."""
    some = make.points(
        1, gamma_kind=kind, weights=weights, activation=activation, gamma=GAMMAS, length=8, **SMALL
    )
    measured = from_rows(measure(some, probes=("curves", "mean_field")))
    (law,) = mean_field.laws(measured).values()
    runs = measured.runs.sort_values("gamma")
    assert law.gamma(runs["gamma"].to_numpy()) == pytest.approx(runs["gamma_mean_field"].to_numpy(), rel=1e-9)
    assert law.gamma(np.array([law.critical])) == pytest.approx(1, rel=1e-6)


def test_a_network_that_nothing_drives_stays_at_zero():
    some = make.points(1, input="zero", gamma=[0.5, 2.0], length=8, hidden_size=5, batch_size=1)
    measured = from_rows(measure(some, probes=("curves", "mean_field")))
    runs = measured.runs.sort_values("gamma")
    assert runs["gamma_mean_field"].tolist() == pytest.approx([0.5, 2.0])
    laws = mean_field.laws(measured)
    for law in laws.values():
        assert law.silent
        assert law.gamma(np.array([0.5, 2.0])) == pytest.approx([0.5, 2.0])
        assert law.critical == pytest.approx(1)


def test_measured_against_mean_field_seed_by_seed(frames, runs):
    group = tanh(runs)
    row = one(mean_field.table(frames))
    for name in ("realised", "lyapunov"):
        ratio = np.log(group[f"gamma_{name}"] / group["gamma_mean_field"])
        ends = [row[f"ln_{name}_ratio{end}"] for end in ("", "_low", "_high")]
        assert ends == pytest.approx(interval(ratio))
    assert set(mean_field.table(frames)["variant"]) == {"simple tanh", "simple ReLU"}


# -- sentences ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken(frames):
    return {finding.matter: " ".join(finding.sentences) for finding in findings(frames)}


def brackets(values, places):
    centre, low, high = values
    return f"{centre:.{places}f} [{low:.{places}f}, {high:.{places}f}]".replace("-", "−")


def test_the_gammas_are_said_beside_each_other(spoken, runs):
    path, largest, realised = (
        brackets(np.exp(interval(np.log(tanh(runs)[name]))), 3)
        for name in ("gamma_path", "gamma_lyapunov", "gamma_realised")
    )
    text = spoken["Path and Lyapunov γ"]
    assert f"At nominal γ = 1 the simple tanh network has a path γ of {path} " in text
    assert f"(Lyapunov {largest}, realised {realised})" in text


def test_how_far_realised_and_lyapunov_gamma_are_apart(spoken, frames):
    table = decay.table(frames)
    away = (table["gamma_realised"] / table["gamma_lyapunov"] - 1).abs()[table["length"] == 24].dropna()
    text = spoken["Path and Lyapunov γ"]
    assert f"Over {len(away)} variants and γ" in text
    assert f"within {_two(100 * away.median())} %" in text
    assert f"by {_two(100 * away.max())} %" in text


def _two(value):
    digits = max(1 - math.floor(math.log10(value)), 0)
    return f"{value:.{digits}f}"


def test_mean_field_and_its_critical_gamma(spoken, frames, runs):
    text = spoken["Mean field"]
    laws = mean_field.laws(frames)
    assert f"critical γ at {laws['simple tanh'].critical:.3f} in the simple tanh network" in text
    group = tanh(runs)
    away = 100 * np.expm1(interval(np.log(group["gamma_realised"] / group["gamma_mean_field"])))
    side = "above" if away[0] > 0 else "below"
    ends = f"[{away[1]:.1f}, {away[2]:.1f}]".replace("-", "−")
    assert f"{abs(away[0]):.1f} % {side} mean field {ends}" in text


def test_windows_are_said_with_their_length(spoken, runs):
    window = brackets(np.exp(interval(np.log(tanh(runs)["truncation_90"]))), 1)
    assert f"needs for nine tenths of its gradient {window} of 24 steps" in spoken["Truncation"]


def test_exponents_and_directions(spoken, frames):
    table = lyapunov.table(frames)
    longest = table[table["length"] == 24]
    assert ("is positive in the" in spoken["Lyapunov exponents"]) == bool((longest["low"] > 0).any())
    rank = one(singular_values.table(frames), lag=23)
    assert f"has at lag 23 an effective rank of {rank['rank']:.2f}" in spoken["Directions"]
    assert "of 5 directions" in spoken["Directions"]
    assert "of 10 directions" in spoken["Directions"]


# -- figures and the page ----------------------------------------------------------------------------------


def test_each_figure_is_drawn(frames):
    for name in ("gammas", *FURTHER):
        figure = FIGURES[name]
        assert figure.missing(frames) is None
        panels = figure.panels(frames)
        assert panels
        for panel in panels:
            assert picture(panel).startswith(b"<svg")
            assert len(panel.alt) > 30
        assert "3 seeds" in figure.caption(frames)


def test_a_report_has_sections_and_tables_of_what_was_measured(rows, frames):
    whole = report.report_of(frames)
    assert set(FURTHER) <= {section.name for section in whole.sections}
    assert set(TABLES) <= set(whole.tables)
    html = whole.html()
    assert "Windows in steps at every γ and length" in html
    assert "J<sub>T−ℓ+1</sub>" in html
    plain = report.report_of(from_rows(measure(make.points(2, length=24, **SMALL))))
    assert not set(FURTHER) & {section.name for section in plain.sections}
    assert set(report.MORE_TABLES) & set(plain.tables) == {"saturated"}  # of a probe that is always there


ODD = {
    "one point": make.points(1, length=24, **SMALL),
    "one step": make.points(2, cell=["simple", "gru"], length=[1, 2], **SMALL),
    "one gamma": make.points(3, weights=["orthogonal", "gaussian"], gamma=0.0, length=12, **SMALL),
    "unreachable": make.points(2, cell="residual", leak=[0.1, 0.5], gamma=[0.6, 1.0], length=12, **SMALL),
    "dead": make.points(2, activation="relu", hidden_size=1, input="zero", length=12, batch_size=1),
    "overflow": make.points(2, cell="linear", gamma=[1.0, 1e30], length=40, hidden_size=4, batch_size=2),
    "diverging": make.points(2, activation="identity", gamma=[0.9, 1.0, 1e20], length=24, **SMALL),
    "many units": make.points(1, cell=["memory", "diagonal"], length=24, hidden_size=26, batch_size=2),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_any_study_with_these_probes_has_a_report(name):
    some = ODD[name]
    probes = [p for p in PROBES if p != "gradient_by_lag" or some[0].cell not in ("linear", "memory")]
    frames = from_rows(rows_of(some, probes))
    html = report.report_of(frames).html()
    assert "What the data say" in html
    assert " nan " not in html.lower()


@pytest.mark.parametrize(
    "probe", ["path", "lyapunov", "jacobian", "gradient_by_lag", "truncated_bptt", "mean_field"]
)
def test_one_probe_alone_has_a_report(probe):
    frames = from_rows(
        measure(make.points(2, gamma=[0.9, 1.0], length=12, **SMALL), probes=["curves", probe])
    )
    names = [section.name for section in report.report_of(frames).sections if not section.missing]
    where = {"path": "gammas", "jacobian": "singular_values", "gradient_by_lag": "truncation"}
    where["truncated_bptt"] = "truncation"
    assert where.get(probe, probe) in names
