"""A point: one cell with one value for every parameter, its canonical form and its identity.

Two points with the same canonical form give the same numbers, so the hash of that form is the point's name
everywhere: in files, in the index, in two studies at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

from .activations import ACTIVATIONS
from .cells import CELLS
from .errors import InvalidPoint, nearest
from .inputs import INPUTS, TARGETS
from .losses import LOSSES
from .weights import ENSEMBLES, GAMMA_KINDS

KERNEL_VERSION = 7
"""Raised whenever a change alters any number; it is part of every ``point_id``."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One axis that a study may vary: its type, what it may be, and what it means."""

    name: str
    type: type
    default: Any
    meaning: str
    choices: tuple[str, ...] | None = None
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    def check(self, value: object) -> Any:
        """The value cast to this parameter's type.

        Raises InvalidPoint where it has the wrong type, is not a choice, or is out of range.
        """
        if self.choices is not None:
            if value in self.choices:
                return str(value)
            raise InvalidPoint(f"{self.name} = {value!r} is not known: {nearest(value, self.choices)}")
        if self.type is str:
            return self._loss_times(value)
        wanted = Integral if self.type is int else Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise InvalidPoint(f"{self.name} = {value!r}: give {self._range()}")
        number: Any = cast(type[Any], self.type)(value)
        inside = (self.low < number if self.open_low else self.low <= number) and number <= self.high
        if not inside or (self.type is float and not math.isfinite(number)):
            raise InvalidPoint(f"{self.name} = {value!r} is out of range: give {self._range()}")
        return number + 0.0 if self.type is float else number

    def _range(self) -> str:
        kind = "a whole number" if self.type is int else "a finite number"
        low = "" if self.low == -math.inf else f" {'above' if self.open_low else 'from'} {self.low:g}"
        high = "" if self.high == math.inf else f" up to {self.high:g}"
        return kind + low + high

    def _loss_times(self, value: object) -> str:
        if value in ("last", "every"):
            return str(value)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1:
            return str(int(value))
        raise InvalidPoint(
            f"{self.name} = {value!r}: give 'last', 'every', or a count (from 1 to length) of evenly spaced steps"
        )


_MAX = 2**53

PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter("cell", str, "simple", "the step map", tuple(CELLS)),
        Parameter(
            "activation", str, None, "f of simple and residual, g of linear and memory", tuple(ACTIVATIONS)
        ),
        Parameter("gamma", float, None, "the knob of the cell: see its row in the reference", low=0.0),
        Parameter(
            "gamma_kind",
            str,
            "nominal",
            "what gamma fixes: a bound, a gain, a radius, or what is realised",
            (*GAMMA_KINDS, "realised"),
        ),
        Parameter("weights", str, "orthogonal", "ensemble of every recurrent block", tuple(ENSEMBLES)),
        Parameter("length", int, 64, "T, steps in a sequence", low=1, high=_MAX),
        Parameter("hidden_size", int, 64, "N, hidden units", low=1, high=_MAX),
        Parameter("input_size", int, 4, "M, inputs a step", low=1, high=_MAX),
        Parameter("output_size", int, 4, "K, outputs a step", low=1, high=_MAX),
        Parameter("batch_size", int, 16, "B, sequences (batch columns)", low=1, high=_MAX),
        Parameter("input", str, "gaussian", "law of the inputs", tuple(INPUTS)),
        Parameter("input_scale", float, 1.0, "standard deviation of an input", low=0.0),
        Parameter("loss", str, "squared", "L_t, averaged over the batch", tuple(LOSSES)),
        Parameter("loss_times", str, "last", "steps that have a loss: last, every, or a count n"),
        Parameter("target", str, None, "law of the labels", tuple(TARGETS)),
        Parameter(
            "leak", float, 0.5, "share of the new value in a residual step", low=0.0, high=1.0, open_low=True
        ),
        Parameter("recurrent_gain", float, 1.0, "scale of every recurrent block of a gated cell", low=0.0),
        Parameter("gate_bias", float, 0.0, "bias of the gates that gamma does not turn"),
        Parameter("reset", str, "before", "gru: reset gate before or after U_n", ("before", "after")),
        Parameter(
            "gate_init",
            str,
            "constant",
            "forget or keep gates: all at gamma, or up to it",
            ("constant", "chrono"),
        ),
        Parameter("gradient", str, "full", "lstm_1997: the gradient, or that of 1997", ("full", "truncated")),
        Parameter("rho_min", float, 0.0, "diagonal: smallest ρ, as a share of gamma", low=0.0, high=1.0),
        Parameter("dtype", str, "float64", "floating-point type of every array", ("float64", "float32")),
        Parameter("seed", int, 0, "the seed of every random stream of the point", low=0, high=2**63 - 1),
    )
}

_SPECIFIC = (
    *("activation", "weights", "leak", "recurrent_gain", "gate_bias", "reset"),
    *("gate_init", "gradient", "rho_min"),
)
_STACKED = frozenset(
    (
        *("gamma", "gamma_kind", "weights", "input", "input_scale", "leak", "recurrent_gain", "gate_bias"),
        *("gate_init", "rho_min", "seed"),
    )
)
SHAPING = tuple(name for name in PARAMETERS if name not in _STACKED)
"""Parameters of which all points of a stack have one value; and ``gamma_kind`` realised, or all but that."""


def cell_parameters(cell: str) -> tuple[str, ...]:
    """Names of the parameters that this cell has, in the order of PARAMETERS."""
    own = CELLS[cell].parameters
    return tuple(name for name in PARAMETERS if name not in _SPECIFIC or name in own)


def cells_with(parameter: str) -> tuple[str, ...]:
    """The cells that have this parameter."""
    return tuple(cell for cell in CELLS if parameter in cell_parameters(cell))


class Point:
    """One cell and one value for every parameter. Frozen, hashable; parameters the cell lacks are None.

    ``Point(cell="lstm", gamma=0.95, length=256)``; what is not given, or None, takes the cell's default.
    Raises InvalidPoint for a name that no cell has, a value out of range, a parameter that this cell lacks.
    """

    __slots__ = (*PARAMETERS, "_id")

    cell: str
    activation: str | None
    gamma: float
    gamma_kind: str
    weights: str | None
    length: int
    hidden_size: int
    input_size: int
    output_size: int
    batch_size: int
    input: str
    input_scale: float
    loss: str
    loss_times: str
    target: str
    leak: float | None
    recurrent_gain: float | None
    gate_bias: float | None
    reset: str | None
    gate_init: str | None
    gradient: str | None
    rho_min: float | None
    dtype: str
    seed: int
    _id: str | None

    def __init__(self, **parameters: Any) -> None:
        for name, value in resolve(parameters).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_id", None)

    @classmethod
    def trusted(cls, values: Mapping[str, Any]) -> Point:
        """A point from a whole dict of values that ``resolve`` has returned before: nothing is checked."""
        point = object.__new__(cls)
        put = object.__setattr__
        for name in PARAMETERS:
            put(point, name, values[name])
        put(point, "_id", None)
        return point

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Point is frozen: make another with replace({name}=…)")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Point.trusted, (self.to_dict(),))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.point_id == other.point_id

    def __hash__(self) -> int:
        return hash(self.point_id)

    def __repr__(self) -> str:
        plain = {name: _default(self.cell, name) for name in PARAMETERS} | {
            "target": LOSSES[self.loss].target
        }
        differs = {k: v for k, v in self.canonical().items() if k == "cell" or v != plain[k]}
        return f"Point({', '.join(f'{k}={v!r}' for k, v in differs.items())})"

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, in the order of PARAMETERS; None where the cell lacks it."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def replace(self, **changes: Any) -> Point:
        """The same point with other values for some parameters."""
        return Point(**{**self.canonical(), **changes})

    def canonical(self) -> dict[str, Any]:
        """Exactly the parameters that change the numbers: those the cell has, cast to their types."""
        return {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}

    @property
    def point_id(self) -> str:
        """128-bit hash of the canonical form and the kernel's version, as 32 hexadecimal digits."""
        if self._id is None:
            object.__setattr__(self, "_id", identity(self))
        return self._id  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[Any, ...]:
        """Points of equal shape can be stacked: they are one set of NumPy calls. Those that are calibrated first
        cost more than others, and are stacked by themselves."""
        return (self.gamma_kind == "realised", *[getattr(self, name) for name in SHAPING])

    @property
    def steps_with_loss(self) -> tuple[int, ...]:
        """The R loss times t, ascending, numbered from 1; n evenly spaced ones end at T."""
        T = self.length
        count = {"last": 1, "every": T}.get(self.loss_times) or int(self.loss_times)
        return tuple((j * T) // count for j in range(1, count + 1))


def identity(point: Point, arrays: str | None = None) -> str:
    """``point_id`` of a point, with the digest of the caller's own arrays where there are any."""
    form: dict[str, Any] = {"kernel": KERNEL_VERSION, **point.canonical()}
    if arrays is not None:
        form["arrays"] = arrays
    return hashlib.blake2b(encode(form).encode(), digest_size=16).hexdigest()


encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode
"""The one text of a value, or of a canonical form, that is hashed."""


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a point from those given: checked, cast, defaults of the cell filled in.

    Raises InvalidPoint: unknown name (with the nearest), value out of range, parameter that the cell lacks.
    """
    for name in given:
        if name not in PARAMETERS:
            raise InvalidPoint(f"no cell has a parameter {name!r}: {nearest(name, PARAMETERS)}")
    cell = PARAMETERS["cell"].check(given.get("cell") or "simple")
    has = cell_parameters(cell)
    values: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        value = given.get(name)
        if name not in has:
            if value is not None:
                raise InvalidPoint(
                    f"{name} = {value!r}: the {cell} cell has no {name}; cells that have it: "
                    + ", ".join(cells_with(name))
                )
            values[name] = None
        else:
            values[name] = _default(cell, name) if value is None else parameter.check(value)
    _relations(values, given)
    return values


def _default(cell: str, name: str) -> Any:
    if name == "gamma":
        return CELLS[cell].default_gamma
    if name == "activation":
        return "tanh" if name in CELLS[cell].parameters else None
    return PARAMETERS[name].default


def _relations(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What one parameter asks of another; settles ``target`` and the canonical form of ``loss_times``."""
    cell, kind, T = values["cell"], values["gamma_kind"], values["length"]
    kinds = CELLS[cell].gamma_kinds
    if kind not in kinds:
        raise InvalidPoint(f"gamma_kind = {kind!r}: the {cell} cell's gamma can be {', '.join(kinds)}")
    N, together = values["hidden_size"], CELLS[cell].together
    if N % together:
        raise InvalidPoint(
            f"hidden_size = {N}: the {cell} cell's units come in groups of {together}; give "
            f"{N + together - N % together}, or another multiple of {together}"
        )
    natural = LOSSES[values["loss"]].target
    values["target"] = values["target"] or natural
    if values["target"] != natural:
        raise InvalidPoint(
            f"target = {given.get('target')!r}: loss = {values['loss']!r} needs target = {natural!r} (its default)"
        )
    if values["loss_times"] not in ("last", "every"):
        count = int(values["loss_times"])
        if count > T:
            raise InvalidPoint(f"loss_times = {count}: give a count up to length = {T}, 'last' or 'every'")
        values["loss_times"] = {1: "last", T: "every"}.get(count, str(count))
    if values["loss_times"] == "every" and T == 1:
        values["loss_times"] = "last"
