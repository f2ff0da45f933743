"""Trained weights against PyTorch: hidden states, adjoints and gradients, by its autograd.

PyTorch's numbers are stored (``make_torch_reference.py`` writes them); where it can be imported, networks of
other sizes are compared as well.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from longlag.workers import Layer, Point, measure, measure_network, read_network, trace
from longlag.workers.cells import CELLS
from longlag.workers.stack import draw_inputs, draw_parameters

DATA = Path(__file__).with_name("data")
FILES = {path.stem.removeprefix("torch_"): path for path in sorted(DATA.glob("torch_*.npz"))}
OURS = {"rnn_tanh": "simple", "rnn_relu": "simple", "lstm": "lstm", "gru": "gru", "gru_cell": "gru"}


def reference(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def weights(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix("w/"): array for name, array in stored.items() if name.startswith("w/")}


def read(kind: str, stored: dict[str, np.ndarray]) -> list[Layer]:
    return read_network(
        weights(stored),
        OURS[kind],
        stored["inputs"],
        readout="fc",
        loss_times=str(len(stored["loss_times"])),
        activation="relu" if kind == "rnn_relu" else None,
    )


def with_fc(layer: Layer, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a layer with the read-out that PyTorch's numbers have at every layer."""
    return layer.parameters | {"V": stored["w/fc.weight"], "d": stored["w/fc.bias"]}


def largest_error(kind: str, stored: dict[str, np.ndarray]) -> float:
    """The largest error of hidden states (absolute), adjoint norms and gradients (relative) of all layers."""
    errors = []
    layers = read(kind, stored)
    for i, layer in enumerate(layers):
        point = layer.point.replace(output_size=len(stored["w/fc.bias"]))
        t = trace(point, with_fc(layer, stored), layer.inputs)
        assert t.status == "ok"
        assert t.loss_times == tuple(stored["loss_times"])
        assert np.array_equal(t.targets, stored["targets"])
        hidden = t.states[1:, :, : point.hidden_size]
        errors.append(np.abs(hidden - stored[f"hidden_{i}"]).max())
        wanted = stored[f"adjoint_{i}"]
        errors.append(np.abs(np.exp(t.ln_adjoint_norms) - wanted).max() / wanted.max())
        alive = wanted > 0
        assert np.array_equal(alive, np.isfinite(t.ln_adjoint_norms))
        errors.append(np.abs(t.ln_adjoint_norms[alive] - np.log(wanted[alive])).max())
    ours = gradients_in_their_order(kind, t.gradients)
    assert ours.keys() == {name for name in stored if name.startswith("g/")}
    for name, gradient in ours.items():
        size = max(np.abs(stored[name]).max(), 1e-300)  # after one step ∂L/∂U is exactly zero
        errors.append(np.abs(gradient - stored[name]).max() / size)
    return max(errors)


def gradients_in_their_order(kind: str, ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """∂L/∂θ by PyTorch's names and in its order of gates, written down here anew."""
    order = {"simple": "z", "lstm": "ifco", "gru": "rkn"}[OURS[kind]]
    gates, N = CELLS[OURS[kind]].gates, ours["V"].shape[1]

    def theirs(array):
        return np.concatenate([array[gates.index(g) * N : (gates.index(g) + 1) * N] for g in order])

    bias_hh = theirs(ours["b"])
    if OURS[kind] == "gru":
        bias_hh = np.concatenate([bias_hh[: 2 * N], ours["b_u"]])
    arrays = {"weight_ih": theirs(ours["W"]), "weight_hh": theirs(ours["U"]), "bias_ih": theirs(ours["b"])}
    arrays |= {"bias_hh": bias_hh, "fc.weight": ours["V"], "fc.bias": ours["d"]}
    return {f"g/{name}": array for name, array in arrays.items()}


@pytest.mark.parametrize("kind", OURS)
def test_hidden_states_adjoints_and_gradients_are_pytorchs(kind: str) -> None:
    assert largest_error(kind, reference(FILES[kind])) < 1e-12


def test_what_truncation_loses_counts_the_bias_inside_the_reset_product() -> None:
    """A window of one step by hand: the gradient with the states before every loss held fixed."""
    stored = reference(FILES["gru"])
    (layer,) = read("gru", stored)
    row = measure_network([layer], ["truncated_bptt"]).to_pylist()[0]
    t = trace(layer.point, layer.parameters, layer.inputs)
    B = layer.point.batch_size
    part = dict.fromkeys(("U", "W", "b", "b_u"), 0.0)
    for r, time in enumerate(t.loss_times):
        delta = t.error_terms[r, time - 1] * np.exp(t.ln_norms[r, time - 1])[:, None] / B
        before = t.states[time - 1]
        k, reset, new = np.split(delta, 3, axis=1)
        through = new / (1 + np.exp(-np.split(t.net_inputs[time - 1], 3, axis=1)[1]))
        part["U"] += np.concatenate([k.T @ before, reset.T @ before, through.T @ before])
        part["W"] += delta.T @ layer.inputs[time - 1]
        part["b"] += delta.sum(axis=0)
        part["b_u"] += through.sum(axis=0)
    g, g_1 = (np.concatenate([np.ravel(one[name]) for name in part]) for one in (t.gradients, part))
    assert row["truncation_window"][0] == 1
    assert row["truncation_bias"][0] == pytest.approx(np.linalg.norm(g_1 - g) / np.linalg.norm(g), rel=1e-12)
    assert row["truncation_ratio"][0] == pytest.approx(np.linalg.norm(g_1) / np.linalg.norm(g), rel=1e-12)


def test_every_kind_has_a_file() -> None:
    assert FILES.keys() == OURS.keys()
    assert sum(path.stat().st_size for path in FILES.values()) < 50_000


def test_a_layer_is_driven_by_the_hidden_states_of_the_one_below() -> None:
    stored = reference(FILES["lstm"])
    below, above = read("lstm", stored)
    point = below.point.replace(output_size=len(below.parameters["V"]))
    assert np.array_equal(above.inputs, trace(point, below.parameters, below.inputs).states[1:, :, :5])
    assert np.abs(above.inputs - stored["hidden_0"]).max() < 1e-12
    assert above.point.input_size == below.point.hidden_size
    assert np.array_equal(above.parameters["V"], stored["w/fc.weight"])


@pytest.mark.parametrize("cell", CELLS)
def test_our_own_names_give_the_very_rows_of_own_parameters(cell: str) -> None:
    point = Point(cell=cell, hidden_size=6, length=20, batch_size=3, seed=3)
    arrays, x = draw_parameters(point), draw_inputs(point)
    (layer,) = read_network(arrays, cell, x, seed=3)
    assert layer.drawn == ()
    rows = measure(point, parameters=arrays, inputs=x)
    ours = measure_network([layer])
    apart = {"layer", "point_id", "gamma", *LAWS}
    assert ours.drop_columns(sorted(apart)).equals(rows.drop_columns(sorted(apart - {"layer"})))
    assert all(ours[name].null_count == 1 for name in LAWS)
    assert layer.point.gamma == pytest.approx(rows["gamma_nominal"][0].as_py(), rel=1e-5)


LAWS = ("weights", "recurrent_gain", "gate_bias", "gate_init", "rho_min", "input", "input_scale")


def test_the_reverse_direction_reads_the_sequence_turned_round() -> None:
    """A bidirectional network of two layers, its hidden states written out by hand."""
    rng = np.random.default_rng(1)
    M, N, T, B, K = 3, 4, 7, 2, 2
    arrays = {}
    for i, width in enumerate((M, 2 * N)):
        for end in ("", "_reverse"):
            arrays[f"weight_ih_l{i}{end}"] = rng.normal(size=(N, width))
            arrays[f"weight_hh_l{i}{end}"] = rng.normal(size=(N, N)) / 2
            arrays[f"bias_ih_l{i}{end}"] = rng.normal(size=N)
            arrays[f"bias_hh_l{i}{end}"] = np.zeros(N)
    arrays["head.weight"] = rng.normal(size=(K, 2 * N))
    x = rng.normal(size=(T, B, M))

    def run(end: str, x: np.ndarray) -> np.ndarray:
        h, states = np.zeros((B, N)), []
        for step in x:
            net = step @ arrays[f"weight_ih{end}"].T + h @ arrays[f"weight_hh{end}"].T
            states.append(h := np.tanh(net + arrays[f"bias_ih{end}"]))
        return np.array(states)

    below = np.concatenate([run("_l0", x), run("_l0_reverse", x[::-1])[::-1]], axis=-1)
    layers = read_network(arrays, inputs=x, readout="head.")
    assert [layer.name for layer in layers] == ["0", "0 reverse", "1", "1 reverse"]
    assert np.array_equal(layers[1].inputs, x[::-1])
    assert np.abs(layers[2].inputs - below).max() < 1e-14
    assert np.abs(layers[3].inputs - below[::-1]).max() < 1e-14
    assert np.array_equal(layers[2].parameters["V"], arrays["head.weight"][:, :N])
    assert np.array_equal(layers[3].parameters["V"], arrays["head.weight"][:, N:])
    last = trace(layers[3].point, layers[3].parameters, layers[3].inputs).states[1:]
    assert np.abs(last - run("_l1_reverse", below[::-1])).max() < 1e-13


def test_the_bias_of_the_recurrent_product_is_left_out_where_it_is_zero() -> None:
    stored = reference(FILES["gru"])
    stored["w/rnn.bias_hh_l0"][10:] = 0
    (layer,) = read("gru", stored)
    assert "b_u" not in layer.parameters
    assert "b_u" in read("gru", reference(FILES["gru"]))[0].parameters


def test_behind_a_state_that_leaves_the_range_there_are_no_layers() -> None:
    arrays = {}
    for i in range(3):
        arrays |= {f"weight_ih_l{i}": np.ones((2, 2)), f"weight_hh_l{i}": np.full((2, 2), 1e60)}
    (layer,) = read_network(arrays, "simple", activation="relu", length=12)
    assert layer.notes[-1] == "its state leaves the range: the 2 layers behind it have no inputs, and no row"
    assert measure_network([layer])["status"].to_pylist() == ["overflow"]


if find_spec("torch") is not None:

    @pytest.mark.parametrize("kind", OURS)
    @pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (40, 4, 7, 16, 3)])
    def test_networks_of_other_sizes_are_pytorchs(kind: str, sizes: tuple[int, ...]) -> None:
        from make_torch_reference import reference as made

        T = sizes[0]
        times = (T,) if T == 1 else (T // 2, T)
        assert largest_error(kind, made(kind, sizes, times, seed=7)) < 1e-12

    def test_tensors_are_taken_as_they_are() -> None:
        import torch

        network = torch.nn.LSTM(3, 4).to(torch.bfloat16)
        (layer,) = read_network(network.state_dict(), "lstm")
        wanted = network.weight_hh_l0.detach().double().numpy()
        assert np.array_equal(layer.parameters["U"][:8], wanted[:8])
