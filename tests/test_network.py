"""Trained weights from files: what is read, what is refused in one line, and what the verb says of them."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from longlag import Point, cli, measure_network, read_network
from longlag.workers.errors import LonglagError, TooLarge
from safetensors.numpy import save_file

N, M = 6, 3


def lstm(layers: int = 1, prefix: str = "", N: int = N, M: int = M, gates: int = 4) -> dict[str, np.ndarray]:
    """Weights with PyTorch's names, drawn."""
    rng = np.random.default_rng(layers)
    arrays = {}
    for i in range(layers):
        arrays[f"{prefix}weight_ih_l{i}"] = rng.normal(size=(gates * N, M if i == 0 else N)) / 2
        arrays[f"{prefix}weight_hh_l{i}"] = rng.normal(size=(gates * N, N)) / 2
        arrays[f"{prefix}bias_ih_l{i}"] = rng.normal(size=gates * N)
        arrays[f"{prefix}bias_hh_l{i}"] = rng.normal(size=gates * N)
    return arrays


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with weights of two layers behind a prefix, a read-out, and inputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    weights = lstm(2, "encoder.rnn.") | {"fc.weight": np.ones((2, N)), "fc.bias": np.zeros(2)}
    np.savez("lstm.npz", **weights)
    save_file(weights, "lstm.safetensors")
    np.save("x.npy", np.random.default_rng(0).normal(size=(12, 5, M)))
    return tmp_path


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["measure", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


# ---- what is read


def test_both_kinds_of_file_and_the_mapping_give_the_same_network() -> None:
    mapping = {name: np.load("lstm.npz")[name] for name in np.load("lstm.npz").files}
    networks = [
        read_network(w, inputs="x.npy", readout="fc") for w in (mapping, "lstm.npz", Path("lstm.safetensors"))
    ]
    for network in networks:
        assert [layer.point.cell for layer in network] == ["lstm", "lstm"]
        assert measure_network(network).equals(measure_network(networks[0]))


def test_sizes_come_from_weights_and_inputs_and_gamma_from_the_forget_gates_bias() -> None:
    below, above = read_network("lstm.npz", inputs="x.npy", readout="fc", loss_times="every", dtype="float32")
    weights = np.load("lstm.npz")
    bias = (weights["encoder.rnn.bias_ih_l0"] + weights["encoder.rnn.bias_hh_l0"])[N : 2 * N]
    gate = np.exp(np.mean(np.log(1 / (1 + np.exp(-bias)))))
    assert below.point.gamma == pytest.approx(gate, rel=1e-5)
    shared = {"cell": "lstm", "hidden_size": N, "length": 12, "batch_size": 5, "output_size": 2}
    shared |= {"loss_times": "every", "dtype": "float32"}
    assert below.point == Point(**shared, input_size=M, gamma=below.point.gamma)
    assert above.point == Point(**shared, input_size=N, gamma=above.point.gamma)
    assert (below.drawn, above.drawn) == (("V",), ())
    assert "V (2, 6)" in repr(above)


def test_inputs_without_a_batch_are_one_sequence_and_drawn_ones_have_the_points_law() -> None:
    x = np.load("x.npy")
    assert np.array_equal(read_network("lstm.npz", inputs=x[:, 0])[0].inputs, x[:, :1])
    drawn = read_network("lstm.npz", length=40, batch_size=30, input_scale=3.0, seed=2)[0]
    assert drawn.inputs.shape == (40, 30, M)
    assert drawn.inputs.std() == pytest.approx(3.0, rel=0.05)
    assert drawn.drawn == ("inputs", "V")
    assert drawn.notes[0] == "the inputs are drawn: gaussian, standard deviation 3"


def test_a_linear_layer_that_fits_is_offered_as_the_read_out() -> None:
    *_, last = read_network("lstm.npz")
    assert last.notes == ("the read-out V (4, 6) is drawn; readout can be fc (2, 6)",)


def test_half_precision_of_safetensors_is_widened_exactly(here: Path) -> None:
    """BF16 by hand: a header, and the upper halves of float32 numbers."""
    values = {"weight_ih": np.float32([[1.5], [-2.0]]), "weight_hh": np.float32([[0.25, 3], [-0.125, 1e-3]])}
    header, data = {}, b""
    for name, array in values.items():
        part = (array.view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": array.shape,
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header).encode()
    text = text.ljust(384)  # a header of this length begins as a pickle does
    (here / "half.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    (layer,) = read_network("half.safetensors", "simple")
    assert np.array_equal(layer.parameters["W"], [[1.5], [-2.0]])
    assert np.array_equal(layer.parameters["U"][0], [0.25, 3])
    assert layer.parameters["U"][1, 1] == pytest.approx(1e-3, rel=2**-7)


class Tensor:
    """What we ask of a tensor, without PyTorch: NumPy cannot have it before it is detached and widened."""

    def __init__(self, array: np.ndarray, done: tuple[str, ...] = ()) -> None:
        self.array, self.done = array, done
        self.shape, self.dtype = array.shape, "torch.bfloat16"

    def detach(self):
        return Tensor(self.array, (*self.done, "detach"))

    def cpu(self):
        return Tensor(self.array, (*self.done, "cpu"))

    def double(self):
        return Tensor(self.array.astype(np.float64), (*self.done, "double"))

    def is_floating_point(self):
        return self.array.dtype.kind == "f"

    def numpy(self):
        assert set(self.done) == {"detach", "cpu", "double"}
        return self.array


def test_tensors_are_detached_and_widened() -> None:
    arrays = {name: array.astype(np.float32) for name, array in lstm().items()}
    x = np.load("x.npy").astype(np.float32)
    (layer,) = read_network({name: Tensor(array) for name, array in arrays.items()}, inputs=Tensor(x))
    (wanted,) = read_network(arrays, inputs=x)
    assert measure_network([layer]).equals(measure_network([wanted]))
    assert "as floats" in refused(arrays, inputs=Tensor(np.zeros((4, 3), np.int64)))


@pytest.mark.parametrize("wrapped", ["module.", "_orig_mod.", ""])
def test_what_wraps_a_model_needs_no_word_in_prefix_and_read_out(wrapped: str) -> None:
    """DataParallel and torch.compile put a word of their own before every name."""
    own = {"fc.weight": np.arange(2.0 * N).reshape(2, N), "fc.bias": np.ones(2)} | lstm(1, "encoder.rnn.")
    weights = {f"{wrapped}{name}": array for name, array in own.items()}
    for readout in ("fc", "fc.weight", f"{wrapped}fc"):
        (layer,) = read_network(weights, prefix="encoder.rnn", readout=readout)
        assert np.array_equal(layer.parameters["V"], own["fc.weight"])
    assert read_network(weights, prefix="rnn")[0].point == layer.point.replace(output_size=4)


def test_an_array_called_w_beside_a_module_is_another_modules() -> None:
    (layer,) = read_network(lstm() | {"W": np.ones((3, 3))})
    assert layer.point.cell == "lstm"


# ---- what is refused


def refused(weights: object, **given: object) -> str:
    with pytest.raises(LonglagError) as problem:
        read_network(weights, **given)
    text = str(problem.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"cell": "gru"},
            r"encoder.rnn.weight_hh_l0 has shape \(24, 6\), 4 blocks .* gru cell needs \(18, 6\)",
        ),
        ({"cell": "residual"}, r"cell = 'residual': .* Allowed: simple, gru, lstm"),
        ({"cell": "lst"}, r"did you mean 'lstm'"),
        (
            {"prefix": "decoder"},
            r"no network behind the prefix 'decoder' .*: did you mean 'encoder.rnn'\? Allowed: encoder.rnn",
        ),
        ({"readout": "fd"}, r"there is no fd.weight; readout can be fc \(2, 6\)"),
        ({"inputs": np.zeros((9, 2, 7))}, r"inputs have shape \(9, 2, 7\) .* give M = 3"),
        ({"inputs": np.zeros((9, 2, 3), int)}, r"inputs are of type int64: .* as floats"),
        ({"inputs": np.zeros(9)}, r"inputs have shape \(9,\): give \(T, B, M\)"),
        ({"inputs": np.array([[0.0, np.nan, 1.0]])}, r"inputs is nan at \(0, 1\)"),
        ({"inputs": np.zeros((9, 3)), "length": 5}, r"length = 5: the inputs settle it"),
        ({"hidden_size": 6}, r"hidden_size = 6: the weights settle it"),
        ({"readout": "fc", "output_size": 3}, r"output_size = 3: the weights settle it"),
        ({"activation": "relu"}, r"the lstm cell has no activation"),
        ({"lenght": 5}, r"'lenght': did you mean 'length'"),
    ],
)
def test_what_contradicts_the_weights_is_refused_in_a_line(given: dict, wanted: str) -> None:
    assert re.search(wanted, refused("lstm.npz", **given))


def changed(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = lstm() | {name: array for name, array in changes.items() if array is not None}
    return {name: array for name, array in arrays.items() if name not in changes or changes[name] is not None}


LSTM_LAYER = {name.replace("_l0", "_l1"): array for name, array in lstm(N=N, M=N).items()}
GRU_LAYER = {name.replace("_l0", "_l1"): array for name, array in lstm(N=N, M=N, gates=3).items()}
WITH_NAN = np.zeros((4 * N, N))
WITH_NAN[3, 5] = np.nan
WITH_V = {"W": np.ones((6, 2)), "a": 1.0, "V": np.ones((2, 6))}


@pytest.mark.parametrize(
    ("weights", "given", "wanted"),
    [
        (changed(weight_ih_l0=np.ones((20, M))), {}, r"weight_ih_l0 has shape \(20, 3\): .* it needs \(24, M\)"),
        (changed(weight_hh_l0=np.ones((13, N))), {}, r"\(13, 6\): .* \(6, 6\) of the simple cell, \(18, 6\) of"),
        (changed(weight_hh_l0=WITH_NAN), {}, r"weight_hh_l0 is nan at \(3, 5\): give finite numbers"),
        (changed(weight_hh_l0=np.ones((2, 2, 2))), {}, r"weight_hh_l0 has shape \(2, 2, 2\): .* matrix"),
        (changed(weight_hh_l0=np.array(["x"])), {}, r"weight_hh_l0 is a <U1: give an array of real numbers"),
        (changed(weight_hh_l0=np.ones((24, 6)) * 1j), {}, r"weight_hh_l0 is a complex128"),
        (changed(weight_ih_l0=None), {}, r"there is no weight_ih_l0, .* found: weight_hh_l0"),
        (changed(bias_hh_l0=np.ones(5)), {}, r"bias_hh_l0 has shape \(5,\): .* it needs \(24,\)"),
        (changed(weight_hh_l0=np.ones((N, 24))), {}, r"\(6, 24\): .* is it transposed\? Rows are net inputs"),
        (changed(bias_ih_l0=None), {}, r"no bias_ih_l0, but other biases are there: .* found: weight_ih_l0"),
        (lstm() | LSTM_LAYER | {"weight_ih_l1": np.ones((24, 5))}, {}, r"\(24, 5\): .* it needs \(24, 6\)"),
        (lstm() | GRU_LAYER, {}, r"weight_hh_l1 .* \(18, 6\): beside weight_hh_l0 of the lstm cell .* \(24, 6\)"),
        ({"c.weight_ih": np.ones((8, 3)), "c.weight_hh": np.ones((8, 2)), "c.bias": np.ones(8)}, {},
            r"c.bias is no array of PyTorch's RNN, LSTM or GRU: .* they have weight_ih"),
        (lstm(1, "a.") | {f"b.{name.removesuffix('_l0')}": a for name, a in lstm().items()}, {},
            r"there are 2 networks .* one of a, b$"),
        (changed(weight_hr_l0=np.ones((2, N))), {}, r"weight_hr_l0: an LSTM with proj_size"),
        (lstm(1, "a.") | lstm(1, "b."), {}, r"there are 2 networks .* one of a, b$"),
        (lstm(1) | {"weight_hh_l2": np.ones((N, N))}, {}, r"there is no weight_hh_l1"),
        (lstm(gates=3), {"reset": "before"}, r"reset = 'before': .* reset = 'after'"),
        ({"weight": np.ones((2, 2))}, {}, r"no network in these weights: .* found: weight; those of another"),
        ({}, {}, r"there is no array at all"),
        ({"W": np.ones((6, 2))}, {}, r"our own names belong to several cells: give cell, one of simple"),
        ({"W": np.ones((6, 2))}, {"cell": "lstm"}, r"W has shape \(6, 2\): the lstm cell has 4 blocks"),
        ({"W": np.ones((6, 2))}, {"cell": "lstm_1997"}, r"there is no U, which the lstm_1997 cell has"),
        ({"W": np.ones((6, 2)), "a": 1.0}, {"cell": "simple"}, r"the simple cell has no array 'a'; .* linear"),
        ({"W": np.ones((6, 2)), "d": np.ones(2)}, {"cell": "memory"}, r"there is no V, which is the read-out"),
        ({"W": np.ones((6, 2)), "a": np.ones(2)}, {"cell": "memory"}, r"a has shape \(2,\): .* it needs \(\)"),
        (WITH_V, {"cell": "memory", "readout": "fc"}, r"readout = 'fc': these weights have a V of their own"),
        (3, {}, r"weights are a int: give arrays by name"),
    ],
)  # fmt: skip
def test_weights_that_are_no_network_are_refused_in_a_line(weights: object, given: dict, wanted: str) -> None:
    text = refused(weights, **given)
    assert re.search(wanted, text), text


def test_files_that_cannot_be_read_are_refused_in_a_line(here: Path, say) -> None:
    whole = {kind: (here / f"lstm.{kind}").read_bytes() for kind in ("npz", "safetensors")}
    (here / "short.npz").write_bytes(whole["npz"][:-40])
    (here / "short.safetensors").write_bytes(whole["safetensors"][:-1])
    (here / "model.pt").write_bytes(b"\x80\x02}q\x00.")
    with zipfile.ZipFile(here / "model.pth", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}q\x00.")
    with zipfile.ZipFile(here / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    np.savez(here / "objects.npz", W=np.array([{}], dtype=object))
    (here / "empty.npz").write_bytes(b"")
    (here / "page.html").write_bytes(b"<!doctype html>")
    for name, wanted in {
        "short.npz": "not a whole .npz file",
        "short.safetensors": "not a whole safetensors file",
        "model.pt": "a pickle, which could run anything when read; write it as safetensors",
        "model.pth": "save_file(model.state_dict(), 'weights.safetensors')",
        "other.zip": "no .npz file",
        "objects.npz": "W holds Python objects",
        "empty.npz": "the file is empty",
        "page.html": "neither a .npz nor a safetensors file",
        "x.npy": "one array without a name",
        "absent.npz": "No such file or directory: give the path of one that is there",
    }.items():
        code, out, error = say(name)
        assert (code, out) == (2, "")
        assert error.startswith(f"error: {name}: ")
        assert error.count("\n") == 1
        assert wanted in error
    code, _, error = say("lstm.npz", "--inputs", "lstm.npz")
    assert code == 2
    assert "not a .npy file" in error


@pytest.mark.parametrize(
    "wrong",
    [
        ["--cell", "gru"],
        ["--probes", "nope"],
        ["--length", "0"],
        ["--readout", "fd"],
        ["--inputs", "absent.npy"],
        ["--report", "."],
        ["--csv", "--json"],
        ["--gradient", "truncated"],
    ],
)
def test_a_wrong_argument_is_one_line_and_a_wrong_call(wrong: list[str], here: Path, say) -> None:
    before = sorted(here.iterdir())
    code, out, error = say("lstm.npz", *wrong, *([] if "--report" in wrong else ["--report", "r.html"]))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert sorted(here.iterdir()) == before


def test_a_network_that_needs_more_memory_than_there_may_be_is_refused_before_it_is_run(say) -> None:
    """Its layers' inputs alone: 4·T·B·N numbers of eight bytes are 1.5 GiB."""
    np.savez("wide.npz", **lstm(4, N=64, M=64))
    code, out, error = say("wide.npz", "--length", 50_000, "--batch", 16)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert re.search(
        r"drive the 4 layers at T = 50,000, B = 16 need about 2.3 GiB, 0.76 GiB may be used", error
    )
    with pytest.raises(TooLarge, match="raise memory"):
        read_network("wide.npz", length=50_000, memory=2**28)
    layers = read_network("wide.npz", length=5)
    with pytest.raises(TooLarge, match="may be used"):
        measure_network(layers, memory=2**27)
    assert measure_network(layers, memory=2**30).num_rows == 4


# ---- what the verb says


def test_the_verb_says_how_far_back_each_layer_reaches(say) -> None:
    code, out, error = say("lstm.npz", "--inputs", "x.npy", "--readout", "fc")
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "lstm.npz: 2 layers; T = 12, B = 5, loss at the last step"
    starts = [i for i, line in enumerate(lines) if line.startswith("layer ")]
    assert [lines[i] for i in starts] == ["layer 0: LSTM, N = 6, M = 3", "layer 1: LSTM, N = 6, M = 6"]
    rows = measure_network(read_network("lstm.npz", inputs="x.npy", readout="fc")).to_pylist()
    for i, row in zip(starts, rows, strict=True):
        gates = np.exp(row["gate_product"][-1] / 11)
        assert lines[i + 1].startswith(
            f"  error left    half after {row['half_life']:.1f} steps, 10 % after "
        )
        assert lines[i + 2] == f"  at lag 11     10^−{-row['ln_ratio_end'] / np.log(10):.1f} is left"
        assert lines[i + 3].startswith(f"  realised γ    {row['gamma_realised']:.4f} a step (decay rate −")
        assert lines[i + 4] == f"  forget gates  {gates:.4f} a step"
        assert (
            lines[i + 5]
            == f"  nominal γ     {row['gamma_nominal']:.4f} a step (γ^ℓ is a reference, no bound)"
        )
    assert all(len(line) <= 80 for line in lines[:-1])
    assert "  the read-out V (2, 6) is drawn" in lines
    assert lines[-1] == "next: longlag measure lstm.npz --inputs x.npy --readout fc --report report.html"


def test_the_next_command_can_be_typed_as_it_stands(say) -> None:
    code, out, _ = say("lstm.npz", "--length", 9, "--probes", "curves,gradients", "--seed", 3)
    assert code == 0
    command = out.splitlines()[-1].removeprefix("next: longlag measure ")
    assert command == "lstm.npz --seed 3 --probes curves,gradients --inputs data.npy"
    Path("x.npy").rename("data.npy")
    assert say(*command.split())[0] == 0


def test_a_probe_that_was_asked_for_is_there_to_read(say) -> None:
    arguments = ["lstm.npz", "--inputs", "x.npy", "--probes"]
    (row, _) = measure_network(read_network("lstm.npz", inputs="x.npy"), ["memory", "jacobian"]).to_pylist()
    code, out, _ = say(*arguments, "memory,jacobian")
    assert code == 0
    assert f"memory_capacity {row['memory_capacity']:.4g}" in out
    assert re.search(r"^  jacobian +lists, in --json and --parquet$", out, re.MULTILINE)
    assert "memory_capacity" not in say(*arguments, "curves")[1]


def test_the_gradient_of_1997_can_be_asked_for(say) -> None:
    rng = np.random.default_rng(0)
    shapes = {"U": (3 * N, N), "W": (3 * N, M), "b": (3 * N,), "a": ()}
    np.savez("own.npz", **{name: rng.normal(size=shape) for name, shape in shapes.items()})
    said = [
        say("own.npz", "--cell", "lstm_1997", "--gradient", kind, "--json")[1]
        for kind in ("full", "truncated")
    ]
    full, truncated = (json.loads(text)[0] for text in said)
    assert truncated["gradient"] == "truncated"
    assert truncated["decay_rate"] != full["decay_rate"]


def one_unit(W: float, U: float, gates: int = 1) -> dict[str, np.ndarray]:
    return {"weight_ih": np.full((gates, 1), float(W)), "weight_hh": np.full((gates, 1), float(U))}


@pytest.mark.parametrize(
    ("arrays", "given", "wanted"),
    [
        (
            one_unit(0, 1),
            ["--activation", "relu"],
            "dead: every adjoint is exactly zero .*\n.*\n  at lag 63     nothing is left",
        ),
        (one_unit(1, 1e200), ["--activation", "relu"], "overflow: the state leaves the range"),
        (one_unit(1, 1), ["--length", 1], "there is no lag to measure"),
        (
            one_unit(0, 0, gates=4) | {"bias_ih": np.array([0.0, 30, 0, -0.5]), "bias_hh": np.zeros(4)},
            [],
            "error left +half after 0.7 steps, never below 10 %",
        ),
    ],
)
def test_a_status_is_a_result(arrays: dict, given: list, wanted: str, say) -> None:
    np.savez("odd.npz", **arrays)
    code, out, error = say("odd.npz", *given)
    assert (code, error) == (0, "")
    assert re.search(wanted, out), out


def test_tables_for_programs_have_every_digit_and_the_curves(say) -> None:
    rows = measure_network(read_network("lstm.npz", inputs="x.npy")).to_pylist()
    _, out, _ = say("lstm.npz", "--inputs", "x.npy", "--csv")
    found = list(csv.DictReader(io.StringIO(out)))
    assert [row["layer"] for row in found] == ["0", "1"]
    assert [float(row["decay_rate"]) for row in found] == [row["decay_rate"] for row in rows]
    assert "adjoint" not in found[0]
    _, out, _ = say("lstm.npz", "--inputs", "x.npy", "--json")
    assert [row["adjoint"] for row in json.loads(out)] == [row["adjoint"] for row in rows]
    assert json.loads(out)[0]["weights"] is None
    _, out, error = say("lstm.npz", "--inputs", "x.npy", "--parquet", "layers.parquet")
    assert (out, error) == ("", "2 rows in layers.parquet\n")
    assert pq.read_table("layers.parquet").to_pylist()[1]["adjoint"] == rows[1]["adjoint"]
    assert say("lstm.npz", "--csv", "--json")[0] == 2


def test_in_the_report_each_layer_is_a_variant(say) -> None:
    code, out, _ = say("lstm.npz", "--inputs", "x.npy", "--report", "network.html")
    assert code == 0
    assert out.splitlines()[-2].startswith("report  network.html")
    page = Path("network.html").read_text(encoding="utf-8")
    assert "<h1>lstm.npz</h1>" in page
    assert "LSTM (layer 0)" in page
    with open("network_tables/decay.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["variant"] for row in table] == ["LSTM, layer 0", "LSTM, layer 1"]


def test_the_names_of_a_reports_curves_are_whole() -> None:
    """A trained gate has a γ of six digits; most of a study have two or four."""
    from longlag.analysis.figures import FIGURES
    from longlag.analysis.figures.sheet import picture
    from longlag.analysis.load import from_rows
    from matplotlib import image

    frames = from_rows(measure_network(read_network("lstm.npz", inputs="x.npy", readout="fc")))
    for panel in FIGURES["lag_curves"].panels(frames):
        pixels = image.imread(io.BytesIO(picture(panel, "png")))
        assert (pixels[:, -3:] == pixels[0, 0]).all()
        assert (pixels[:, -60:] != pixels[0, 0]).any()


def test_a_memory_capacity_of_own_inputs_has_no_bound() -> None:
    """The hidden states that drive a layer are no white noise: the sum over delays may pass N."""
    from longlag.analysis.findings import findings
    from longlag.analysis.load import from_rows

    layers = read_network(lstm(), length=60, batch_size=4)
    own = read_network(lstm(), inputs=layers[0].inputs)
    for network, wanted in (
        (layers, "of at most N = 6"),
        (own, "at N = 6, which is no bound for own inputs"),
    ):
        frames = from_rows(measure_network(network, ["curves", "memory"]))
        (said,) = [found.sentences for found in findings(frames) if found.matter == "Memory"]
        assert wanted in said[0]


def test_layers_of_a_report_stand_in_their_order() -> None:
    from longlag.analysis.load import from_rows

    frames = from_rows(measure_network(read_network(lstm(11, N=2, M=2), length=6)))
    assert list(frames.variants) == [f"LSTM, layer {i}" for i in range(11)]


# ---- the page


VERB = typer.main.get_command(cli.app).commands["measure"]
PAGE = (Path(__file__).parent.parent / "docs" / "your_network.md").read_text(encoding="utf-8")


def test_the_pages_python_runs_as_it_stands(here: Path) -> None:
    (here / "lstm.safetensors").rename("weights.safetensors")
    (here / "x.npy").rename("data.npy")
    _, ours = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(ours, names)
    assert names["table"].num_rows == 2
    assert names["arrays"].status == "ok"


def test_the_pages_commands_are_commands_and_its_options_are_there(here: Path, say) -> None:
    (here / "lstm.safetensors").rename("weights.safetensors")
    (here / "x.npy").rename("data.npy")
    commands = re.findall(r"^(?:next: )?longlag measure (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert say(*command.split())[0] == 0
    known = {option for param in VERB.params for option in param.opts}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known
