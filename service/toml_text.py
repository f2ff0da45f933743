"""Study files: TOML to the arguments of a Study and back, so that what is read again is the same grid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from .axes import Axis, from_table, is_axis
from .errors import InvalidStudy

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(text: str) -> dict[str, Any]:
    """The keyword arguments of a Study. Raises InvalidStudy, with line and column where it is not TOML."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidStudy(_not_toml(str(error), text)) from None
    if "name" not in table:
        raise InvalidStudy('a study file has a name at its top: name = "my-study"')
    if "grids" in table:
        raise InvalidStudy("grids: in a study file each grid is a table [[grid]]")
    grids = table.pop("grid", None)
    if isinstance(grids, Mapping):
        grids = [grids]
    if grids is not None:
        if not isinstance(grids, list) or not all(isinstance(grid, Mapping) for grid in grids):
            raise InvalidStudy("grid: give one table [grid], or several [[grid]]")
        for grid in grids:
            if stray := {"name", "description", "probes"} & set(grid):
                raise InvalidStudy(f"{min(stray)} stands within a grid: move it above the first [[grid]]")
        grids = [_values(grid) for grid in grids]
    return {**_values(table), "grids": grids}


def _values(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: from_table(key, v) if isinstance(v, Mapping) else v for key, v in table.items()}


def _not_toml(message: str, text: str) -> str:
    found = _PLACE.search(message)
    if found and found[1]:
        line, column = int(found[1]), int(found[2])
    else:
        lines = text.splitlines() or [""]
        line, column = len(lines), len(lines[-1]) + 1
    reason = _PLACE.sub("", message)
    return f"line {line}, column {column}: this is not TOML: {reason[:1].lower()}{reason[1:]}"


def render(
    name: str,
    description: str,
    probes: tuple[str, ...] | None,
    shared: Mapping[str, Any],
    grids: Sequence[Mapping[str, Any]],
) -> str:
    """A study file; ``parse`` gives the same grid back. A single grid of shared keys only is written flat."""
    top: dict[str, Any] = {"name": name}
    if description:
        top["description"] = description
    if probes is not None:
        top["probes"] = probes
    sections = [_lines({**top, **shared})]
    if len(grids) > 1 or grids[0]:
        sections += ["[[grid]]\n" + _lines(grid) for grid in grids]
    return "\n".join(sections)


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, Axis):
        log = ", log = true" if value.log else ""
        return f"{{ from = {_value(value.start)}, to = {_value(value.stop)}, num = {len(value)}{log} }}"
    if isinstance(value, range) and value.start == 0 and value.step == 1:
        return f"{{ range = {len(value)} }}"
    if is_axis(value):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, str):
        return _string(value)
    return repr(value)


def _string(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'
