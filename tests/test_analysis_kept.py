"""Tables, figures and sentences of the probes that are measured by request, on rows that a worker measured."""

import math
import re
from dataclasses import replace

import analysis_frames as make
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from longlag.analysis import gates, memory, pairs, preserved, report, saturated, seeds, sensitivity
from longlag.analysis.figures import FIGURES
from longlag.analysis.figures.sheet import picture
from longlag.analysis.findings import findings
from longlag.analysis.load import Frames, from_rows
from longlag.workers.cells import CELLS
from longlag.workers.measure import measure
from longlag.workers.probes import PROBES
from scipy import stats

KEPT = {
    "all_pairs": ("all_pairs", "pair_map"),
    "gates": ("gates",),
    "memory_function": ("memory",),
    "preserved_norm": ("preserved_norm",),
    "sensitivity": ("sensitivity",),
}
"""Figures by request, and their probes."""
EVERY = ("curves", "gradients", "saturation", *(probe for probes in KEPT.values() for probe in probes))
SMALL = {"length": 24, "hidden_size": 4, "batch_size": 4, "input_size": 1}


def rows_of(some, probes=EVERY):
    """What a worker measures of points; a cell that a probe is not for lacks its columns."""
    shapes = {}
    for point in some:
        shapes.setdefault((point.cell, point.shape), []).append(point)
    tables = [
        measure(several, probes=[p for p in probes if not PROBES[p].lacking(CELLS[cell])])
        for (cell, _), several in shapes.items()
    ]
    return pa.concat_tables(tables, promote_options="default")


def with_saturated(rows):
    """The frames of rows, with the lists of kind ``saturated`` beside those that are loaded."""
    frames = from_rows(rows)
    parts = [
        pd.DataFrame({"point_id": one["point_id"], "step": one["saturation_step"]}).assign(
            below_05=one["saturated_05_curve"], below_25=one["saturated_25_curve"]
        )
        for one in rows.to_pylist()
        if one["saturated_05_curve"] is not None
    ]
    return replace(frames, lists={**frames.lists, "saturated": pd.concat(parts)}, computed={})


@pytest.fixture(scope="module")
def rows():
    some = make.points(5, cell="simple", activation=["tanh", "relu"], gamma=[0.8, 1.0], **SMALL)
    some += make.points(5, cell="memory", gamma=[0.8, 1.0], **SMALL)
    return rows_of(some + make.points(5, cell=["lstm", "gru"], gamma=[0.5, 0.99], **SMALL))


@pytest.fixture(scope="module")
def frames(rows):
    return with_saturated(rows)


def of(rows, cell, gamma, activation=None):
    """The rows of one variant at one γ, in the order of the seeds."""
    found = [r for r in rows.to_pylist() if r["cell"] == cell and r["gamma"] == gamma]
    found = [r for r in found if activation is None or r["activation"] == activation]
    assert len(found) == 5
    return sorted(found, key=lambda r: r["seed"])


def one(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def interval(values):
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


# -- tables --------------------------------------------------------------------------------------------------------


def test_all_pairs_by_lag(rows, frames):
    own = of(rows, "simple", 1.0, "tanh")
    row = one(pairs.table(frames), variant="simple tanh", gamma=1.0, lag=7)
    means, spreads = [r["pair_mean"][7] for r in own], [r["pair_spread"][7] for r in own]
    assert (row["n"], row["mean"]) == (5, pytest.approx(np.mean(means)))
    assert (row["low"], row["high"]) == pytest.approx(interval(means))
    assert row["spread"] == pytest.approx(np.mean(spreads))
    assert (row["spread_low"], row["spread_high"]) == pytest.approx(interval(spreads))
    assert row["q95"] == pytest.approx(np.mean([r["pair_q95"][7] for r in own]))
    assert row["own"] == pytest.approx(np.mean([r["delta"][7] for r in own]))


def test_the_map_is_the_mean_over_seeds_row_by_row(rows, frames):
    one_map = pairs.maps(frames)["GRU"]
    own = [np.array(r["pair_map"], float).reshape(24, 24) for r in of(rows, "gru", 0.99)]
    assert (one_map.gamma, one_map.seeds) == (0.99, 5)
    np.testing.assert_allclose(one_map.values, np.mean(own, axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(np.isnan(one_map.values), np.triu(np.ones((24, 24), bool), 1))
    last = [
        r["delta"] for r in of(rows, "gru", 0.99)
    ]  # the last row is the loss at T, of which the point's curve is
    np.testing.assert_allclose(one_map.values[-1], np.mean(last, axis=0)[::-1], atol=1e-12)


def test_maps_that_are_too_large_are_not_drawn(frames, monkeypatch):
    monkeypatch.setattr(pairs, "MOST_VALUES", 1000)
    assert pairs.maps(frames) == {}
    assert "too large to be drawn" in FIGURES["all_pairs"].caption(frames)
    assert len(FIGURES["all_pairs"].panels(frames)) == len(frames.variants)


def test_gate_times_and_open_gates(rows, frames):
    own = of(rows, "lstm", 0.99)
    row = one(gates.table(frames), variant="LSTM", gamma=0.99)
    medians = [np.median(r["gate_time"]) for r in own]
    assert row["time"] == pytest.approx(stats.gmean(medians))
    assert (row["low"], row["high"]) == pytest.approx(np.exp(interval(np.log(medians))))
    assert row["nominal"] == pytest.approx(-1 / math.log(0.99))
    assert row["open_f"] == pytest.approx(np.mean([r["gate_open_f"] for r in own]))
    assert row["closed_o"] == pytest.approx(np.mean([r["gate_closed_o"] for r in own]))
    assert math.isnan(row["open_k"])
    assert set(gates.table(frames)["variant"]) == {"LSTM", "GRU"}
    step = one(gates.steps(frames), variant="LSTM", gamma=0.99, step=5)
    assert step["open"] == pytest.approx(np.mean([r["keep_open_curve"][4] for r in own]))
    assert 0 <= step["open_low"] <= step["open"] <= step["open_high"] <= 1


@pytest.mark.parametrize(("gamma", "time"), [(0.5, 1.442695), (0.99, 99.499162), (1.0, math.inf), (0.0, 0.0)])
def test_nominal_gate_time(gamma, time):
    assert gates.nominal(pd.Series([gamma])).iloc[0] == pytest.approx(time)


def test_memory_capacity(rows, frames):
    own = of(rows, "simple", 0.8, "tanh")
    row = one(memory.table(frames), variant="simple tanh", gamma=0.8)
    sums = [sum(r["memory_function"]) for r in own]
    assert (row["capacity"], row["units"]) == (pytest.approx(np.mean(sums)), 4)
    assert (row["low"], row["high"]) == pytest.approx(interval(sums))
    assert row["raw"] == pytest.approx(np.mean([sum(r["memory_function_raw"]) for r in own]))
    assert row["rank"] == pytest.approx(np.mean([r["memory_rank"] for r in own]))
    lag = one(memory.function(frames), variant="simple tanh", gamma=0.8, lag=3)
    assert lag["corrected"] == pytest.approx(np.mean([r["memory_function"][3] for r in own]))


def test_preserved_norms(rows, frames):
    own = of(rows, "gru", 0.5)
    row = one(preserved.table(frames), variant="GRU", gamma=0.5)
    assert row["omega"] == pytest.approx(stats.gmean([r["omega"] for r in own]))
    assert row["omega_squared_form"] == pytest.approx(stats.gmean([r["omega_squared_form"] for r in own]))
    ratio = one(preserved.ratios(frames), variant="GRU", gamma=0.5, lag=2)
    assert ratio["ratio"] == pytest.approx(np.mean([r["preserved_norm"][1] for r in own]))


def test_a_norm_that_is_kept_has_omega_zero():
    frames = from_rows(rows_of(make.points(2, cell="linear", gamma=[0.5, 1.0], **SMALL)))
    kept, lost = (one(preserved.table(frames), gamma=gamma) for gamma in (1.0, 0.5))
    assert (kept["omega"], math.isnan(kept["omega_low"])) == (0.0, True)
    assert preserved.omega_text(kept) == "0"
    assert lost["omega"] == pytest.approx(23 * 0.25)
    assert lost["omega_squared_form"] == pytest.approx(23 * 0.75**2)


def test_sensitivity_and_its_growth(rows, frames):
    low, high = of(rows, "lstm", 0.5), of(rows, "lstm", 0.99)
    row = one(sensitivity.table(frames), variant="LSTM", gamma=0.99)
    logs = [math.log(r["sensitivity_square"]) for r in high]
    assert row["sensitivity"] == pytest.approx(np.mean(logs))
    assert (row["sensitivity_low"], row["sensitivity_high"]) == pytest.approx(interval(logs))
    grown = sensitivity.growth(frames, "LSTM", 0.5, 0.99)
    for name, measured in (("sensitivity", "ln_sensitivity_square"), ("hidden", "ln_hidden_square")):
        change = [b[measured] - a[measured] for a, b in zip(low, high, strict=True)]
        assert grown[name]["mean"] == pytest.approx(np.mean(change))
        assert (grown[name]["low"], grown[name]["high"]) == pytest.approx(interval(change))


def test_saturated_and_dead_units(rows, frames):
    own = of(rows, "simple", 1.0, "relu")
    row = one(saturated.table(frames), variant="simple ReLU", gamma=1.0, step=24)
    fine = [r["saturated_25_curve"][23] for r in own if r["status"] == "ok"]
    assert len(fine) == 4  # one has died
    assert (row["n"], row["below_25"]) == (4, pytest.approx(np.mean(fine)))
    dead = saturated.dead(frames)
    assert set(dead["variant"]) == {"simple ReLU"}
    assert one(dead, gamma=1.0)["dead"] == pytest.approx(np.mean([r["dead_units"] for r in own]))


def test_averages_over_seeds(rows, frames):
    ends = np.array([r["ln_ratio_end"] for r in of(rows, "simple", 1.0, "tanh")])
    row = one(seeds.table(frames), variant="simple tanh")
    assert (row["gamma"], row["n"]) == (1.0, 5)
    assert row["geometric"] == pytest.approx(math.log(stats.gmean(np.exp(ends))))
    assert row["median"] == pytest.approx(np.median(ends))
    assert row["arithmetic"] == pytest.approx(math.log(np.mean(np.exp(ends))))
    assert row["arithmetic"] >= row["geometric"]


def test_averages_far_out_of_range():
    some = make.points(5, length=1024)
    frames = Frames.of(**make.frames(some, lambda p: -10.0 - p.seed))
    row = one(seeds.table(frames), variant="simple tanh")
    assert row["arithmetic"] == pytest.approx(-10230 - math.log(5))
    assert row["geometric"] == pytest.approx(-12 * 1023)


# -- figures and sentences -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(frames):
    return report.report_of(frames)


def test_every_figure_is_drawn_and_told(built):
    shown = {section.name: section for section in built.sections}
    for name in (*KEPT, "seeds", "saturation"):
        section = shown[name]
        assert section.pictures
        assert all(len(one.alt) > 30 and "nan" not in one.alt for one in section.pictures)
        assert "5 seeds" in section.caption
        has_table = name not in ("all_pairs", "saturation")
        assert [bool(table.row_count) for table in section.tables] == [True] * has_table


def test_dead_units_have_a_table_only_where_there_are_some(frames):
    figure, relu = FIGURES["saturation"], frames.runs["dead_units"].notna()
    assert relu.any()
    assert figure.tables is not None
    assert not figure.tables(frames)
    assert "No ReLU unit is dead" in figure.caption(frames)
    runs = frames.runs.assign(dead_units=frames.runs["dead_units"].mask(relu, 0.25))
    some = replace(frames, runs=runs, computed={})
    (table,) = figure.tables(some)
    assert all(row[2].startswith("0.250") for _, rows in table.groups for row in rows)
    assert "No ReLU unit is dead" not in figure.caption(some)


def test_panels(frames):
    titles = {name: [panel.title for panel in FIGURES[name].panels(frames)] for name in (*KEPT, "saturation")}
    assert titles["all_pairs"][:2] == ["simple tanh, γ = 1", "simple tanh, γ = 1: every t and k"]
    assert len(titles["all_pairs"]) == 10
    assert titles["gates"] == [
        *("LSTM: gate times", "LSTM: open and closed"),
        *("GRU: gate times", "GRU: open and closed"),
    ]
    assert titles["saturation"][-1] == "saturated units"


def said(frames):
    return {finding.matter: finding.sentences for finding in findings(frames)}


def test_sentences(rows, frames):
    spoken = said(frames)
    (text,) = spoken["Gate times"]
    medians = [r["gate_time_median"] for r in of(rows, "lstm", 0.99)]
    low, _ = np.exp(interval(np.log(medians)))
    start = "The LSTM with its forget gate at 0.99 has a median gate time of "
    start += f"{stats.gmean(medians):.1f} [{low:.1f}, "
    assert text.startswith(start)
    assert "where γ promises 99.5; the GRU with its keep gate at 0.99 one of " in text
    capacities = [r["memory_capacity"] for r in of(rows, "simple", 1.0, "tanh")]
    assert spoken["Memory"][0].startswith(
        f"At nominal γ = 1 the simple tanh network has a memory capacity of {np.mean(capacities):.2f} ["
    )
    assert "of at most N = 4" in spoken["Memory"][0]
    assert spoken["One curve"][0].startswith(
        "At nominal γ = 1 the simple tanh network has at lag 11 a spread over t of"
    )
    assert "the memory cell with a loop weight of 1" in spoken["One curve"][1].lower()
    assert "less than 0.01 decades around a mean of 1.0" in spoken["One curve"][1]
    change = [
        (b["ln_sensitivity_square"] - a["ln_sensitivity_square"]) / math.log(10)
        for a, b in zip(of(rows, "lstm", 0.5), of(rows, "lstm", 0.99), strict=True)
    ]
    assert spoken["Sensitivity"][1].startswith(
        f"From γ = 0.5 to 0.99, seed by seed, E(∂h/∂θ)² changes by {np.mean(change):+.2f} decades ["
    )


def test_the_report_has_their_sections_and_tables(built, frames, tmp_path):
    assert [s.name for s in built.sections if s.name in (*KEPT, "seeds")] == [*KEPT, "seeds"]
    assert set(own_tables()) <= set(built.tables)
    built.write(tmp_path / "report.html")
    read = pd.read_csv(tmp_path / "report_tables" / "memory.csv")
    assert len(read) == len(memory.table(frames)) == 10


def own_tables():
    return [
        *("saturated", "dead_units", "all_pairs", "gates", "gates_by_step", "memory", "memory_function"),
        *("preserved_norm", "preserved_norm_by_lag", "sensitivity", "seeds"),
    ]


@pytest.mark.parametrize("left_out", sorted(KEPT))
def test_a_probe_that_was_not_measured_has_no_section(left_out):
    some = make.points(2, cell=["simple", "gru"], gamma=0.9, **SMALL)
    frames = from_rows(rows_of(some, [probe for probe in EVERY if probe not in KEPT[left_out]]))
    assert {name for name in (*KEPT, "seeds") if FIGURES[name].missing(frames) is None} == set(KEPT) - {
        left_out
    }
    assert all(FIGURES[name].optional for name in (*KEPT, "seeds"))
    assert left_out not in {finding.see for finding in findings(frames)}


def test_a_usual_study_has_none_of_them():
    frames = from_rows(rows_of(make.points(2, cell=["simple", "gru"], gamma=0.9, **SMALL), EVERY[:3]))
    built = report.report_of(frames)
    assert not {s.name for s in built.sections} & {*KEPT, "seeds"}
    assert set(built.tables) & set(own_tables()) == {"saturated"}  # of a probe that is always there


@pytest.mark.parametrize(
    "some",
    [
        make.points(1, cell=["simple", "lstm"], gamma=0.9, **SMALL),
        make.points(2, cell=["simple", "gru"], gamma=0.9, **{**SMALL, "length": 1}),
        make.points(2, cell=["simple", "gru"], gamma=0.9, **{**SMALL, "length": 2}),
        make.points(2, cell="linear", gamma=[1.0, 1e30], **{**SMALL, "length": 40}),
        make.points(2, cell="residual", leak=[0.1, 0.5], gamma=[0.6, 1.0], **SMALL),
        make.points(2, activation="relu", input="zero", gamma=[0.5, 1.0], **SMALL),
        make.points(6, cell="memory", gamma=3.0, **{**SMALL, "length": 80}),
        make.points(2, cell="lstm", gamma=[0.5, 1 - 1e-9], **SMALL),
        make.points(2, cell="mingru", gate_init=["constant", "chrono"], gamma=0.9, **SMALL),
    ],
    ids=["one seed", "one step", "two steps", "overflow", "unreachable", "dead", "closed", "open", "chrono"],
)
def test_any_study(some):
    frames = with_saturated(rows_of(some))
    for name in (*KEPT, "seeds", "saturation"):
        figure = FIGURES[name]
        if figure.missing(frames) is None:
            assert all(picture(panel).startswith(b"<svg") for panel in figure.panels(frames))
            tables = figure.tables(frames) if figure.tables else []
            words = [figure.caption(frames), *(panel.alt for panel in figure.panels(frames)), str(tables)]
            assert not any(re.search(r"\bnan\b", text) for text in words)
    for _, table in report.MORE_TABLES.values():
        assert "variant" in table(frames)
    assert not any("nan" in sentence for finding in findings(frames) for sentence in finding.sentences)


def test_no_run_is_ok(frames):
    broken = replace(frames, runs=frames.runs.assign(status="error"), computed={})
    built = report.report_of(Frames.of(broken.runs.drop(columns="variant"), lists=dict(frames.lists)))
    assert not {s.name for s in built.sections} & {*KEPT, "seeds"}
