"""Axes of a grid: what may be written as the value of a parameter, and the values it stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..workers.errors import InvalidPoint
from ..workers.points import PARAMETERS
from .errors import InvalidStudy

MAX_AXIS = 10_000_000
"""More values than that on one axis is taken for a slip of the finger, before any value is looked at."""


class Axis(tuple[float, ...]):
    """Evenly or geometrically spaced values that remember their recipe, to be written as they were typed.

    Every value is rounded to 12 significant digits, so that 0.95 is 0.95.
    """

    start: float
    stop: float
    log: bool

    def __new__(cls, start: float, stop: float, num: int, log: bool = False) -> Axis:
        _check_spacing(start, stop, num, log)
        forward = (lambda v: math.log(v)) if log else float
        back = math.exp if log else float
        a, b = forward(start), forward(stop)
        inner = (back(a + (b - a) * k / (num - 1)) for k in range(1, num - 1))
        values = (start, *inner, stop)[:num]
        axis = super().__new__(cls, (float(f"{value:.12g}") for value in values))
        axis.start, axis.stop, axis.log = start, stop, log
        return axis

    def __getnewargs__(self) -> tuple[float, float, int, bool]:
        return (self.start, self.stop, len(self), self.log)

    def __repr__(self) -> str:
        return f"{'logspace' if self.log else 'linspace'}({self.start}, {self.stop}, {len(self)})"


def linspace(start: float, stop: float, num: int) -> Axis:
    """An axis of ``num`` values, evenly spaced from ``start`` to ``stop``, both included."""
    return Axis(start, stop, num)


def logspace(start: float, stop: float, num: int) -> Axis:
    """An axis of ``num`` values from ``start`` to ``stop``, both included, in equal ratios.

    The ends are the values themselves, above 0; in ``numpy.logspace`` they are exponents.
    """
    return Axis(start, stop, num, log=True)


def _check_spacing(start: float, stop: float, num: int, log: bool) -> None:
    what = f"from {start!r} to {stop!r}, {num!r} values"
    if not all(_is_number(end) and math.isfinite(end) for end in (start, stop)):
        raise InvalidStudy(f"{what}: both ends must be finite numbers")
    if not isinstance(num, int) or isinstance(num, bool) or not 1 <= num <= MAX_AXIS:
        raise InvalidStudy(f"{what}: the count must be a whole number from 1 to {MAX_AXIS:,}")
    if log and min(start, stop) <= 0:
        raise InvalidStudy(f"{what}: both ends of a geometric axis must be above 0")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def normal(name: str, given: Any) -> Any:
    """``given`` as a plain scalar, or as an Axis, a range or a tuple: an axis.

    Takes lists, tuples, ranges, linspace, logspace, NumPy arrays, pandas columns; else raises InvalidStudy.
    """
    if hasattr(given, "tolist"):
        given = given.tolist()
    if given is None or isinstance(given, str | int | float | Axis):
        return given
    if not isinstance(given, list | tuple | range):
        raise InvalidStudy(
            f"{name} = {given!r}: give a value or an axis: a list, range, linspace(a, b, n), logspace(a, b, n)"
        )
    if not 1 <= len(given) <= MAX_AXIS:
        raise InvalidStudy(f"{name} has {len(given):,} values: an axis has from 1 to {MAX_AXIS:,}")
    if isinstance(given, range):
        return given
    if None in given:
        raise InvalidStudy(f"{name}: a list cannot hold None; leave {name} out to take the cell's default")
    return tuple(v.item() if hasattr(v, "item") else v for v in given)


def checked(name: str, value: Any) -> tuple[Any, ...]:
    """The distinct values of one parameter, each checked and cast to its type once, in the order given.

    Raises InvalidPoint for a value that the parameter cannot have.
    """
    parameter = PARAMETERS[name]
    values: Iterable[Any] = value if is_axis(value) else (value,)
    if isinstance(value, Axis) and parameter.type is int:
        values = (int(v) if v.is_integer() else v for v in value)
    try:
        return tuple(dict.fromkeys(parameter.check(v) for v in values))
    except TypeError:  # an unhashable value, such as a list within the list
        raise InvalidPoint(f"{name} = {value!r}: give one list of plain values") from None


def is_axis(value: Any) -> bool:
    """Whether a normal value is an axis; a plain scalar is fixed."""
    return isinstance(value, tuple | range)


def from_table(name: str, table: Mapping[str, Any]) -> Axis | range:
    """The axis that a table in a study file stands for: {from, to, num}, with log = true, or {range = n}."""
    keys = set(table)
    if keys == {"range"}:
        n = table["range"]
        if isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= MAX_AXIS:
            return range(n)
        raise InvalidStudy(f"{name} = {{range = {n}}}: give a whole number from 1 to {MAX_AXIS:,}")
    if keys in ({"from", "to", "num"}, {"from", "to", "num", "log"}) and isinstance(
        table.get("log", False), bool
    ):
        return Axis(table["from"], table["to"], table["num"], table.get("log", False))
    raise InvalidStudy(
        f"{name}: a table must be {{from = a, to = b, num = n}}, the same with log = true, or {{range = n}}; "
        f"it has {', '.join(table) or 'nothing'}"
    )
