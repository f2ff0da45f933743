"""Studies: grids to points, TOML both ways, the digest, and what is refused."""

import json
import pickle
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longlag import Study, linspace, logspace
from longlag.service.errors import InvalidStudy
from longlag.workers.errors import InvalidPoint, LonglagError
from longlag.workers.points import Point, cell_parameters

EXAMPLE = Path(__file__).parent.parent / "examples" / "long_term_dependence.toml"


def contract_study() -> Study:
    return Study(
        "long-term-dependence",
        grids=[
            {"cell": "simple", "activation": ["tanh", "logistic", "relu"], "gamma": linspace(0.5, 1.5, 11)},
            {"cell": ["linear", "memory", "lstm_1997"], "gamma": linspace(0.5, 1.5, 11)},
            {"cell": ["lstm", "gru"], "gamma": [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]},
        ],
        length=[16, 64, 256],
        seed=range(5),
        hidden_size=64,
    )


# ---- grids to points


def test_the_example_is_the_study_of_the_readme() -> None:
    study = contract_study()
    points = list(study.points())
    assert study.size == len(points) == len(set(points)) == 3 * 5 * (3 * 11 + 3 * 11 + 2 * 10)
    assert Study.from_file(EXAMPLE).digest == study.digest


def test_a_list_is_an_axis_and_a_scalar_is_fixed() -> None:
    points = list(Study("s", cell="lstm", gamma=[0.9, 0.99], length=8).points())
    assert points == [Point(cell="lstm", gamma=0.9, length=8), Point(cell="lstm", gamma=0.99, length=8)]


def test_defaults_are_those_of_a_point() -> None:
    assert list(Study("s").points()) == [Point()]
    assert list(Study("s", cell=["gru", "simple"]).points()) == [Point(cell="gru"), Point(cell="simple")]


def test_a_grids_own_value_goes_before_the_shared_one() -> None:
    study = Study("s", grids=[{"cell": "gru"}, {"cell": "lstm", "length": 3}], length=[8, 9])
    assert [(p.cell, p.length) for p in study.points()] == [("gru", 8), ("gru", 9), ("lstm", 3)]


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "cell": st.sampled_from(["simple", "linear", "memory", "lstm", "gru"]),
    "gamma": st.sampled_from([0, 0.5, 1, 1.0, 0.25]),
    "gamma_kind": st.just("nominal"),
    "length": st.sampled_from([1, 2, 5]),
    "loss_times": st.sampled_from(["last", "every", 1, "1"]),
    "loss": st.sampled_from(["squared", "cross_entropy"]),
    "seed": st.integers(0, 4),
    "batch_size": st.sampled_from([1, 2]),
    "dtype": st.sampled_from(["float64", "float32"]),
}
GRIDS = st.lists(
    st.fixed_dictionaries(
        {}, optional={k: st.one_of(v, st.lists(v, min_size=1, max_size=4)) for k, v in VALUES.items()}
    ),
    min_size=1,
    max_size=4,
)


def by_hand(grids: list[dict[str, Any]]) -> set[str]:
    ids = set()
    for grid in grids:
        axes = {k: v if isinstance(v, list) else [v] for k, v in grid.items()}
        ids |= {Point(**dict(zip(axes, c, strict=True))).point_id for c in product(*axes.values())}
    return ids


@settings(max_examples=60, deadline=None)
@given(GRIDS)
def test_expansion_equals_the_product_by_hand(grids: list[dict[str, Any]]) -> None:
    study = Study("s", grids=grids)
    ids = [point.point_id for point in study.points()]
    assert len(ids) == len(set(ids)) == study.size
    assert set(ids) == by_hand(grids)
    assert all(point == Point(**point.canonical()) for point in study.points())
    again = Study.from_toml(study.to_toml())
    assert again == study
    assert [p.point_id for p in again.points()] == ids


@settings(max_examples=30, deadline=None)
@given(GRIDS, st.randoms(use_true_random=False))
def test_the_digest_does_not_see_the_order(grids: list[dict[str, Any]], random: Any) -> None:
    shuffled = []
    for grid in random.sample(grids, len(grids)):
        items = random.sample(sorted(grid.items()), len(grid))
        shuffled.append({k: random.sample(v, len(v)) if isinstance(v, list) else v for k, v in items})
    assert Study("other", grids=shuffled, description="words").digest == Study("s", grids=grids).digest


def test_the_digest_sees_points_and_probes() -> None:
    study = Study("s", gamma=[0.5, 1.0])
    assert study.digest == Study("s", gamma=[1, 0.5, 0.5]).digest
    assert study.digest != Study("s", gamma=[0.5, 1.0, 1.5]).digest
    assert study.digest != Study("s", gamma=[0.5, 1.0], probes=["curves"]).digest
    assert study != Study("s", gamma=[0.5, 1.0], description="new words")


def test_a_hundred_thousand_points_are_quick() -> None:
    began = time.perf_counter()
    study = Study("big", length=1, hidden_size=1, batch_size=1, gamma=linspace(0, 1, 100), seed=range(1000))
    assert study.size == 100_000
    assert study.digest
    assert time.perf_counter() - began < 1
    assert sum(1 for _ in study.points()) == 100_000
    assert time.perf_counter() - began < 5


# ---- axes


def test_axes_are_rounded_to_twelve_digits() -> None:
    assert list(linspace(0.5, 1.5, 11)) == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    assert list(logspace(1, 1000, 4)) == [1, 10, 100, 1000]
    assert list(linspace(2, 9, 1)) == [2]
    assert linspace(1, 0, 3)[1] == 0.5
    assert pickle.loads(pickle.dumps(linspace(0, 1, 3))) == linspace(0, 1, 3)
    assert repr(logspace(0.1, 10, 3)) == "logspace(0.1, 10, 3)"


@pytest.mark.parametrize(
    "axis", [np.array([0.5, 1.0]), pd.Series([0.5, 1.0]), (0.5, 1.0), [np.float64(0.5), np.float64(1)]]
)
def test_arrays_and_columns_are_axes(axis: Any) -> None:
    study = Study("s", gamma=axis, length=np.int64(8), seed=np.arange(2))
    assert study.digest == Study("s", gamma=[0.5, 1.0], length=8, seed=range(2)).digest
    assert json.dumps([p.to_dict() for p in study.points()])


def test_whole_numbers_of_linspace_are_whole() -> None:
    assert [p.length for p in Study("s", length=linspace(10, 100, 10)).points()] == list(range(10, 101, 10))
    with pytest.raises(InvalidPoint, match=r"length = 1\.5: give a whole number"):
        Study("s", length=linspace(1, 2, 3))


# ---- TOML


def test_every_form_of_a_value_in_toml() -> None:
    study = Study.from_toml(
        'name = "t"\ndescription = "d"\nprobes = ["gradients"]\nlength = 4\nseed = { range = 3 }\n'
        '[[grid]]\ncell = ["lstm", "gru"]\ngamma = [0.5, 0.9]\n'
        "[[grid]]\ngamma = { from = 0.5, to = 1.5, num = 3 }\ninput_scale = {from=1, to=100, num=3, log=true}\n"
    )
    same = Study(
        "t",
        grids=[
            {"cell": ["lstm", "gru"], "gamma": [0.5, 0.9]},
            {"gamma": linspace(0.5, 1.5, 3), "input_scale": logspace(1, 100, 3)},
        ],
        description="d",
        probes=["gradients"],
        length=4,
        seed=range(3),
    )
    assert study == same
    assert study.probes == ("gradients",)
    assert study.to_toml() == same.to_toml()
    assert Study.from_toml(study.to_toml()) == study


def test_one_grid_may_be_flat_or_a_table() -> None:
    flat = Study.from_toml('name = "t"\ngamma = [0.5, 1.0]')
    assert flat == Study.from_toml('name = "t"\n[grid]\ngamma = [0.5, 1.0]')
    assert "grid" not in flat.to_toml()


@pytest.mark.parametrize("text", ['say "γ"', "two\nlines", "back\\slash", "tab\t, bell \x07", "rocket 🚀"])
def test_any_description_survives(text: str, tmp_path: Path) -> None:
    study = Study("t", description=text)
    study.to_file(tmp_path / "t.toml")
    assert Study.from_file(tmp_path / "t.toml").description == text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('name = "t"\ngamma = [1,\n x]', "line 3, column 2"),
        ('name = "t"\ngamma = ', "line 2, column 9"),
        ('name = "t"\ngamma = [1', "line 2, column 11"),
        ("not toml", "line 1, column 5"),
    ],
)
def test_what_is_not_toml_has_line_and_column(text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(InvalidStudy, match=f"t.toml: {place}: this is not TOML") as caught:
        Study.from_file(path)
    assert "\n" not in str(caught.value)


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gama": 1}, "did you mean 'gamma'"),
        ({"cell": "lstmm"}, "did you mean 'lstm'"),
        ({"probes": ["curve"]}, "did you mean 'curves'"),
        ({"gamma": float("nan")}, "gamma = nan is out of range: give a finite number from 0"),
        ({"gamma": [0.5, -1]}, "gamma = -1 is out of range"),
        ({"length": 0}, "length = 0 is out of range: give a whole number from 1"),
        ({"length": True}, "length = True"),
        ({"loss_times": 100, "length": [64, 256]}, "loss_times = 100: give a count up to length = 64"),
        ({"cell": "lstm", "gamma_kind": "radius"}, "gamma_kind = 'radius'"),
        ({"cell": "lstm", "activation": "tanh"}, "the lstm cell has no activation .*: leave activation out"),
        (
            {"cell": "gru", "gradient": "truncated"},
            r"the gru cell has no gradient \(cells that have it: lstm_1997\)",
        ),
        (
            {"cell": "simple", "gate_init": "chrono"},
            "the simple cell has no gate_init .*lstm_peephole, gru, mingru",
        ),
        ({"cell": "mingru", "recurrent_gain": 2}, "the mingru cell has no recurrent_gain"),
        ({"cell": "lstm", "rho_min": 0.5}, r"no rho_min \(cells that have it: diagonal\)"),
        (
            {"cell": "diagonal", "rho_min": 1.5},
            "rho_min = 1.5 is out of range: give a finite number from 0 up to 1",
        ),
        ({"cell": "lstm", "gate_init": "crono"}, "did you mean 'chrono'"),
        (
            {"cell": ["simple", "diagonal"], "hidden_size": [8, 5]},
            "hidden_size = 5: the diagonal cell's units come in groups of 2; give 6",
        ),
        ({"gamma": []}, "gamma has 0 values"),
        ({"gamma": {0.5}}, "give a value or an axis"),
        ({"gamma": [[0.5]]}, "give one list of plain values|give a finite number"),
        ({"gamma": [None, 0.5]}, "a list cannot hold None"),
        ({"seed": range(10**9)}, "seed has 1,000,000,000 values"),
        ({"seed": range(10**4), "gamma": list(range(10**4))}, "100,000,000 points: a study has at most"),
        ({"grids": []}, "a list of at least one"),
        ({"grids": ["simple"]}, "a list of at least one"),
        ({"description": 3}, "give a text"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LonglagError, match=message) as caught:
        Study("s", **arguments)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "../a", ".a", "a/b", "x" * 101, "é", None, 3])
def test_a_name_can_be_a_folder(name: Any) -> None:
    with pytest.raises(InvalidStudy, match="letters, digits"):
        Study(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma = 1", "a study file has a name"),
        ('name = "t"\ngrid = 3', r"give one table \[grid\]"),
        ('name = "t"\n[grids]\n', r"grids: in a study file each grid is a table \[\[grid\]\]"),
        ('name = "t"\n[[grid]]\ndescription = "x"', r"move it above the first \[\[grid\]\]"),
        ('name = "t"\ngamma = {from = 1, to = 2}', "it has from, to"),
        ('name = "t"\nseed = {range = 0}', "give a whole number from 1"),
        ('name = "t"\ngamma = {from = 0, to = 2, num = 3, log = true}', "must be above 0"),
        ('name = "t"\ngamma = {from = "a", to = 2, num = 3}', "must be finite numbers"),
        ('name = "t"\nday = 2020-01-01', "no cell has a parameter 'day'"),
    ],
)
def test_bad_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(LonglagError, match=message):
        Study.from_toml(text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match="there is no study file"):
        Study.from_file(tmp_path / "none.toml")
    with pytest.raises(InvalidStudy, match="there is no study file"):
        Study.from_file(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(InvalidStudy, match="byte 8: this is not TOML"):
        Study.from_file(tmp_path / "latin.toml")


SIDES = ["tanh", "relu"]


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"cell": ["simple", "lstm"], "activation": SIDES, "gamma": linspace(0, 1, 3)}, 3 * 3),
        (
            {"grids": [{"cell": "simple"}, {"cell": ["gru", "lstm"]}], "activation": SIDES, "seed": range(2)},
            2 * 4,
        ),
        ({"cell": ["simple", "residual", "lstm"], "activation": SIDES, "leak": [0.1, 0.5]}, 2 + 4 + 1),
        ({"grids": [{"leak": 0.5}, {"cell": "residual"}], "length": logspace(1, 100, 3)}, 3 + 3),
    ],
)
def test_a_parameter_that_a_cell_lacks_is_answered_with_grids(arguments: dict[str, Any], size: int) -> None:
    with pytest.raises(InvalidStudy, match=r"cell has no (activation|leak) \(cells that have it: ") as caught:
        Study("s", **arguments)
    typed = str(caught.value).split("give grids of their own: ")[1]
    study = eval(typed, {"Study": Study, "linspace": linspace, "logspace": logspace})
    assert study.size == size
    assert eval(repr(study), {"Study": Study, "linspace": linspace, "logspace": logspace}) == study
    assert all(name in cell_parameters(p.cell) for p in study.points() for name in p.canonical())
