"""Trained weights as points: one a layer, with its arrays and the sequence that drives it.

A stacked network is measured layer by layer: layer l is driven by the hidden states of layer l − 1, and the loss
reads its own hidden states, so what is measured is how far back this layer carries an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from .. import cost
from ..errors import InvalidPoint, TooLarge, nearest
from ..kernel import numerics
from ..measure import allowance, measure
from ..points import PARAMETERS, Point
from ..probes import DEFAULT_PROBES
from ..stack import draw_inputs, make_cell, stack
from ..tape import passing
from ..weights import read_out
from .files import named_arrays, sequences
from .naming import Array, Block, Scheme, found
from .naming import Layer as Blocks
from .own import OWN
from .pytorch import CELL_MODULES, MODULES
from .readout import fitting, read_outs

SCHEMES: dict[str, Scheme] = {"pytorch": MODULES, "pytorch_cell": CELL_MODULES, "longlag": OWN}
"""The naming schemes, in the order in which they are tried."""

_SIZES = ("hidden_size", "input_size", "gamma", "gamma_kind")
_LAWS = ("weights", "recurrent_gain", "gate_bias", "gate_init", "rho_min")
_INPUT_LAWS = ("input", "input_scale")


@dataclass(frozen=True, repr=False)
class Layer:
    """One layer of a trained network, for ``measure`` and ``trace``.

    ``name`` is its number from 0, with " reverse" behind it where it reads the sequence backwards. ``parameters``
    holds every array of the cell, in float64; ``inputs`` (T, B, M) is what drives it, in the order in which it
    reads. ``point.gamma`` is γ_nominal of the arrays, to six digits. ``drawn`` names what is not the network's
    own ("inputs", "V"); ``notes`` says that, and what was left out, in words.
    """

    name: str
    point: Point
    parameters: dict[str, Array]
    inputs: Array
    drawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """What a notebook shows: the name, the point, and the shapes of the arrays."""
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.parameters.items())
        return f"<Layer {self.name} of {self.point!r}: {shapes}; inputs {self.inputs.shape}>"


def read_network(
    weights: str | Path | Mapping[str, Any],
    cell: str | None = None,
    inputs: str | Path | ArrayLike | None = None,
    *,
    prefix: str | None = None,
    readout: str | None = None,
    memory: int | None = None,
    **parameters: Any,
) -> list[Layer]:
    """The layers of a trained network, each ready for ``measure`` and ``trace``.

    ``weights``: a .npz or safetensors file, or arrays or tensors by name, as in PyTorch's ``state_dict`` or with
    our own names; ``prefix`` chooses one of several networks. ``cell`` may be None for PyTorch's names, which tell.
    ``inputs``: (T, B, M), (T, M) or a .npy file; without, they are drawn. ``readout``: the prefix of a linear layer
    (``fc`` for fc.weight (K, N) and fc.bias (K,)) through which the loss reads the last layer; without, V is drawn
    as for any point. Other parameters are a point's: activation, reset, leak, length, batch_size, loss_times, seed.
    ``memory``: bytes that this process may have, its imports included; without, half of what is free. The list
    ends behind a layer whose state leaves the range: the next one has no inputs.
    Raises BadFile, InvalidPoint, and TooLarge before anything is computed.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    named = named_arrays(weights)
    network = _recognised(named, prefix, cell)
    heads = read_outs(named, network[-1], readout)
    x = None if inputs is None else sequences(inputs)
    _refuse(given, x is not None, bool(heads[0]))
    if x is not None:
        given |= {"length": x.shape[0], "batch_size": x.shape[1]}
    if heads[0]:
        given["output_size"] = len(heads[0]["V"])
    _refuse_beyond_memory(network, given, memory)
    layers: list[Layer] = []
    for i, blocks in enumerate(network):
        here: list[Layer] = []
        for block, head in zip(blocks, heads if i + 1 == len(network) else [{}] * len(blocks), strict=True):
            point = _point(block, given)
            drawn = ("inputs",) if inputs is None and i == 0 else ()
            x = draw_inputs(point) if x is None else x
            hint = fitting(named, len(blocks) * point.hidden_size) if i + 1 == len(network) else ""
            here.append(_layer(f"{i} reverse" if here else f"{i}", block, head, point, x, drawn, hint))
        layers += here
        if i + 1 < len(network):
            x = _next_inputs(here)
            if not np.isfinite(x).all():
                layers[-1] = _ending(layers[-1], len(network) - i - 1)
                break
    return layers


def measure_network(
    layers: Sequence[Layer], probes: Iterable[str] = DEFAULT_PROBES, memory: int | None = None
) -> pa.Table:
    """One row a layer, as ``measure`` gives it, behind a column ``layer`` with its name.

    ``memory``: bytes that this process may have, its layers and imports included; without, half of what is free.

    Null is what names a law by which nothing was drawn here: weights, recurrent_gain, gate_bias, gate_init and
    rho_min; input and input_scale where the inputs were not drawn. Raises InvalidPoint and TooLarge.
    """
    rows = measure(
        [layer.point for layer in layers],
        [layer.parameters for layer in layers],
        [layer.inputs for layer in layers],
        probes,
        None if memory is None else memory - cost.base_memory() - _held_by(layers),
    )
    for name in (*_LAWS, *_INPUT_LAWS):
        place, field = rows.schema.get_field_index(name), rows.schema.field(name)
        held = [name in _INPUT_LAWS and "inputs" in layer.drawn for layer in layers]
        values = [v if true else None for v, true in zip(rows[name].to_pylist(), held, strict=True)]
        rows = rows.set_column(place, field, pa.array(values, field.type))
    return rows.add_column(0, "layer", pa.array([layer.name for layer in layers]))


def _held(arrays: Iterable[Array]) -> int:
    """Bytes of arrays, those that are one counted once."""
    return sum({id(array): array.nbytes for array in arrays}.values())


def _held_by(layers: Iterable[Layer]) -> int:
    return _held(array for layer in layers for array in (layer.inputs, *layer.parameters.values()))


def _refuse_beyond_memory(network: Sequence[Blocks], given: Mapping[str, Any], memory: int | None) -> None:
    """Raises TooLarge where the layers' inputs would not fit: they are held to the end, in float64.

    The largest are twice more in memory while the layer above is driven: as a stack has them, and as hidden states.
    """
    points = [[_point(block, given) for block in blocks] for blocks in network]
    columns = 8 * points[0][0].length * points[0][0].batch_size
    widths = [columns * several[0].input_size * len(several) for several in points]
    passing = max(
        (
            columns * (several[0].input_size + several[0].hidden_size * len(several))
            for several in points[:-1]
        ),
        default=0,
    )
    arrays = 2 * _held(a for blocks in network for block in blocks for a in block.arrays.values())
    need = sum(widths) + passing + arrays
    have = allowance(None if memory is None else memory - cost.base_memory())
    if need > have:
        what = f"the {len(network)} layers" if len(network) > 1 else "the layer"
        raise TooLarge(
            f"the sequences that drive {what} at T = {points[0][0].length:,}, B = {points[0][0].batch_size:,} need "
            f"about {need / 2**30:.2g} GiB, {max(have, 0) / 2**30:.2g} GiB may be used: give fewer or shorter "
            "sequences, or raise memory"
        )


def _recognised(named: Mapping[str, Any], prefix: str | None, cell: str | None) -> list[Blocks]:
    """The network that a scheme finds in the names. Raises InvalidPoint where none does, or several are there."""
    kind = None if cell is None else PARAMETERS["cell"].check(cell)
    there = [(place, scheme) for scheme in SCHEMES.values() for place in scheme.prefixes(named)]
    if not there:
        looked_for = ", or ".join(scheme.looked_for for scheme in SCHEMES.values())
        raise InvalidPoint(
            f"there is no network in these weights: looked for {looked_for}; {found(named)}; those of another "
            "framework have to be given one of these names and its order of gates"
        )
    chosen = there if prefix is None else _behind(there, prefix.rstrip("."))
    if not chosen:
        places = [place.rstrip(".") or "(none)" for place, _ in there]
        raise InvalidPoint(
            f"there is no network behind the prefix {prefix!r} in these weights: {nearest(prefix, places)}"
        )
    if len(chosen) > 1:
        shown = ", ".join(place.rstrip(".") or "(none)" for place, _ in chosen)
        raise InvalidPoint(
            f"there are {len(chosen)} networks in these weights: give a prefix, one of {shown}"
        )
    place, scheme = chosen[0]
    return scheme.read(named, place, kind)


def _behind(there: Sequence[tuple[str, Scheme]], prefix: str) -> list[tuple[str, Scheme]]:
    """Those with this very prefix; or else those whose prefix ends so, as behind ``module.`` or ``_orig_mod.``."""
    same = [one for one in there if one[0].rstrip(".") == prefix]
    return same or [one for one in there if prefix and one[0].rstrip(".").endswith(f".{prefix}")]


def _refuse(given: Mapping[str, Any], inputs: bool, head: bool) -> None:
    """Parameters that the weights or the inputs settle. Raises InvalidPoint."""
    settled = {
        "the weights": (*_SIZES, *_LAWS, *(("output_size",) if head else ())),
        "the inputs": ("length", "batch_size", *_INPUT_LAWS) if inputs else (),
    }
    for by, names in settled.items():
        for name in names:
            if name in given:
                raise InvalidPoint(f"{name} = {given[name]!r}: {by} settle it; leave it out")


def _point(block: Block, given: Mapping[str, Any]) -> Point:
    """The point of one cell: sizes and γ from its arrays, the rest as given."""
    for name, value in block.settled.items():
        if given.get(name, value) != value:
            raise InvalidPoint(
                f"{name} = {given[name]!r}: weights with PyTorch's names have {name} = {value!r}"
            )
    rows, M = block.arrays["W"].shape
    gates = len(make_cell(Point(cell=block.cell)).gates)
    known = {"cell": block.cell, "hidden_size": rows // gates, "input_size": M}
    point = Point(**{**given, **block.settled, **known})
    with numerics():
        nominal = make_cell(point).nominal(block.arrays, point.leak)
    return point.replace(gamma=float(f"{nominal:.6g}")) if np.isfinite(nominal) else point


def _layer(
    name: str, block: Block, head: dict[str, Array], point: Point, x: Array, drawn: tuple[str, ...], hint: str
) -> Layer:
    """One layer with all of its arrays and its inputs in the order in which it reads them."""
    if x.shape[-1] != point.input_size:
        source = f"{block.source}'s layer takes {point.input_size} inputs a step"
        raise InvalidPoint(f"inputs have shape {x.shape} (T, B, M): {source}; give M = {point.input_size}")
    K, N = point.output_size, point.hidden_size
    notes = (
        [f"the inputs are drawn: {point.input}, standard deviation {point.input_scale:g}"] if drawn else []
    )
    if not head:
        head, drawn = {"V": read_out(point.seed, K, N), "d": np.zeros(K)}, (*drawn, "V")
        notes.append(f"the read-out V ({K}, {N}) is drawn{hint}")
    x = np.ascontiguousarray(x[::-1]) if name.endswith("reverse") else x
    return Layer(name, point, {**block.arrays, **head}, x, drawn, tuple(notes))


def _ending(layer: Layer, behind: int) -> Layer:
    """The last layer that can be measured, with a note on the number of layers behind it."""
    what = "the layer behind it has" if behind == 1 else f"the {behind} layers behind it have"
    note = f"its state leaves the range: {what} no inputs, and no row"
    return replace(layer, notes=(*layer.notes, note))


def _next_inputs(directions: Sequence[Layer]) -> Array:
    """What the next layer reads: hidden states (T, B, N), those of a reverse direction turned round, behind."""
    ahead, *back = (_hidden(one) for one in directions)
    return np.concatenate([ahead, *(h[::-1] for h in back)], axis=-1)


def _hidden(layer: Layer) -> Array:
    """Hidden states (T, B, N) of a layer, a segment at a time: no tape is kept. They have the bits of ``trace``."""
    point = layer.point
    with numerics():
        one = stack([point], [layer.parameters], [layer.inputs], point.steps_with_loss)
        shape = point.length, point.batch_size, point.hidden_size
        hidden = np.empty(shape, one.weights.V.dtype)
        for segment in passing(one):
            states = np.ascontiguousarray(segment.states[1:].transpose(1, 2, 0, 3, 4))
            hidden[segment.start : segment.stop] = one.cell.read_out(states)[0]
    return hidden.astype(np.float64, copy=False)
