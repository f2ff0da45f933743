"""The summary after a run: numbers of every variant and γ under the bound's, whatever came of the points."""

import pyarrow as pa
import pytest
from longlag import Study, linspace, measure
from longlag.summary import summary

SMALL = {"hidden_size": 8, "batch_size": 2}


def lines(width: int = 80, **parameters) -> list[str]:
    """The summary of a study that is computed here."""
    rows = measure(list(Study("small", **parameters, **SMALL).points()))
    scalars = rows.select([field.name for field in rows.schema if not pa.types.is_list(field.type)])
    return [line.text for line in summary(scalars.to_pandas(), width)]


def values(text: list[str], label: str) -> list[list[str]]:
    """What stands behind a label, in the table of horizons and then in that of decay rates."""
    return [line.removeprefix(label).split() for line in text if line.startswith(f"{label} ")]


def test_a_linear_loop_is_at_its_bound() -> None:
    text = lines(cell="linear", gamma=[0.5, 0.9, 1.0], length=64)
    assert values(text, "γ") == [["0.5", "0.9", "1"]]
    assert values(text, "bound γ^ℓ") == [["6.6", "43.7", "∞"], ["−.69", "−.105", ".000"]]
    assert values(text, "linear loop") == [["6.6", "43.7", ">63"], ["−.69", "−.105", ".000"]]


def test_where_the_bound_is_a_reference_it_says_so() -> None:
    assert values(lines(cell="lstm", gamma=0.5, length=8), "reference γ^ℓ")
    text = lines(cell=["simple", "lstm"], gamma=[0.5, 0.9], length=8)
    assert values(text, "bound γ^ℓ")
    assert "for LSTM γ^ℓ is a reference, no bound" in text


def test_variants_with_a_bound_of_their_own_stand_apart() -> None:
    """The norm of a Gaussian matrix is about two: γ as a gain is not the bound."""
    text = lines(
        cell="simple", weights="gaussian", gamma_kind=["gain", "nominal"], gamma=[0.5, 1.0], length=16
    )
    bounds = values(text, "bound γ^ℓ")
    assert len(bounds) == 4
    assert bounds[0] == ["6.6", "∞"]
    assert float(bounds[2][0]) > 6.6


def test_seeds_are_counted_and_nothing_is_said_of_one() -> None:
    assert "T = 8, over 3 seeds" in lines(length=[4, 8], seed=range(3))
    assert "T = 8" in lines(length=[4, 8])


def test_what_is_not_ok_is_marked_and_explained() -> None:
    text = lines(cell="residual", leak=0.5, gamma=[0.4, 0.6, 1.0], length=8)
    assert [row[0] for row in values(text, "residual tanh")] == ["u", "u"]
    assert "u = unreachable" in text
    assert "status  2 ok, 1 unreachable" in text
    assert any(
        line.startswith("  1 unreachable: residual tanh, γ = 0.4, T = 8: gamma = 0.4: ") for line in text
    )


def test_a_dead_gradient_has_a_horizon_and_no_rate() -> None:
    text = lines(gamma=[0.0, 0.5], length=8)
    horizon, rate = values(text, "simple tanh")
    assert horizon[0] == "1.0"
    assert rate[0] == "d"
    assert "d = dead" in text


@pytest.mark.parametrize("width", [50, 60, 80, 200])
def test_columns_are_chosen_so_that_they_fit(width: int) -> None:
    text = lines(width, cell=["simple", "linear"], gamma=linspace(0.1, 1.2, 34), length=8)
    shown = values(text, "γ")[0]
    table = text[: text.index("")]
    assert max(map(len, table[: 4 + 2 * 4])) <= width
    assert len(shown) == len(set(shown)), "none looks like another"
    assert "1" in shown, "the cell's own default is among them"
    assert (len(shown) == 34) == (f"{len(shown)} of 34 γ: all are in the report" not in text)


def test_many_variants_are_left_to_the_report() -> None:
    text = lines(activation=["tanh", "relu"], input_scale=[float(v) for v in range(15)], length=4)
    assert "24 of 30 cell variants: all are in the report" in text


def test_values_of_a_long_list_are_not_all_said() -> None:
    text = lines(cell="lstm", gamma=[float(v) for v in range(1, 9)], length=4)
    assert any("γ = 1 … 8 (8 values), T = 4: " in line for line in text)


def test_no_runs_are_no_accident() -> None:
    rows = measure([next(Study("small", length=4, **SMALL).points())]).slice(0, 0).to_pandas()
    assert [line.text for line in summary(rows, 80)] == ["no point is finished yet"]
