"""Write the generated parts of reference.md anew from the registries: ``uv run python docs/make_reference.py``.

A part stands between ``<!-- begin NAME -->`` and ``<!-- end -->``; everything else on the page is written by hand.
``tests/test_reference.py`` fails where page and registries differ.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from longlag.cli import app
from longlag.face import Client
from longlag.service.curves import BY_LAG, KINDS
from longlag.service.models import SCHEMA, metadata, views
from longlag.service.settings import Settings
from longlag.workers.cells import CELLS
from longlag.workers.points import PARAMETERS, Parameter, cells_with
from longlag.workers.probes import BASE_COLUMNS, PROBES
from longlag.workers.probes.base import Column

PAGE = Path(__file__).with_name("reference.md")
_PART = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def verbs() -> Iterable[str]:
    """Every verb that is not hidden: how it is called, what it does, its own options."""
    group: Any = typer.main.get_command(app)
    yield "Common options, before the verb or after it:\n"
    yield from _options(group.params)
    for name, verb in group.commands.items():
        if verb.hidden:
            continue
        arguments = [param for param in verb.params if param.param_type_name == "argument"]
        options = [param for param in verb.params if param.param_type_name == "option"]
        usage = [param.metavar if param.required else f"[{param.metavar}]" for param in arguments]
        yield f"\n### longlag {' '.join([name, *usage])}\n"
        yield inspect.cleandoc(verb.help or "")
        if options:
            yield ""
            yield from _options(options)


def _options(params: Sequence[Any]) -> Iterable[str]:
    rows = []
    for param in params:
        spelling = ", ".join(sorted(param.opts, key=len)) + ("" if param.is_flag else f" {param.metavar}")
        default = "" if param.is_flag or param.default is None else f" [{param.default}]"
        rows.append([f"`{spelling}`", f"{param.help.rstrip('.')}{default}"])
    yield from _table(["option", "meaning [default]"], rows)


def parameters() -> Iterable[str]:
    """Every parameter of a point."""
    yield from _table(
        ["parameter", "type", "default", "values", "meaning", "cells"],
        [
            [f"`{p.name}`", p.type.__name__, _default(p), _values(p), p.meaning, _cells(p.name)]
            for p in PARAMETERS.values()
        ],
    )


def _default(parameter: Parameter) -> str:
    if parameter.name == "gamma":
        by_value: dict[float, list[str]] = {}
        for cell in CELLS.values():
            by_value.setdefault(cell.default_gamma, []).append(cell.name)
        return "; ".join(f"{value:g}: {', '.join(cells)}" for value, cells in by_value.items())
    settled = {"activation": "tanh", "target": "what the loss needs"}
    return f"{settled.get(parameter.name, parameter.default)}"


def _values(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    if parameter.type is str:
        return "last, every, or a count n up to length"
    low = (
        ""
        if parameter.low == -float("inf")
        else f"{'above' if parameter.open_low else 'from'} {parameter.low:g}"
    )
    high = "" if parameter.high == float("inf") else f"to {_power(parameter.high)}"
    return " ".join(filter(None, (low, high))) or "any finite number"


def _power(value: float) -> str:
    return {2.0**53: "2^53", 2.0**63 - 1: "2^63 − 1"}.get(float(value), f"{value:g}")


def _cells(parameter: str) -> str:
    having = cells_with(parameter)
    return "all" if len(having) == len(CELLS) else ", ".join(having)


def cells() -> Iterable[str]:
    """Every cell: its equations and what follows from them."""
    for cell in CELLS.values():
        module = inspect.getdoc(inspect.getmodule(cell)) or ""
        shapes, optional = cell().shapes(1, 1, 1), cell(reset="after").optional(1, 1, 1)
        arrays = [*shapes, *(f"{name} (where given)" for name in optional)]
        components = 1 if cell.components == 1 else f"{cell.components} (h, then c)"
        yield f"### {cell.name}\n"
        yield f"{module}\n"
        yield f"{inspect.getdoc(cell)}\n"
        facts = {
            "net-input blocks": ", ".join(cell.gates),
            "state, in blocks of N": components,
            "arrays": ", ".join(arrays),
            "own parameters": ", ".join(cell.parameters) or "none",
            "`gamma_kind`": ", ".join(cell.gamma_kinds),
            "γ^ℓ is a bound for": ", ".join(f"`{kind}`" for kind in cell.bounded) or "no curve: a reference",
        }
        yield from (f"- {what}: {value}" for what, value in facts.items())
        yield ""


def columns() -> Iterable[str]:
    """Every measured column, by probe."""
    yield "### In every run\n"
    yield from _columns(BASE_COLUMNS)
    for probe in PROBES.values():
        yield f"\n### Probe `{probe.name}`: {probe.doc}\n"
        yield from _columns(probe.columns)


def _columns(some: Sequence[Column]) -> Iterable[str]:
    head = ["column", "type", "unit", "meaning", "source"]
    yield from _table(
        head, [[f"`{c.name}`", f"`{c.type}`", c.unit or "–", c.doc, c.source or "–"] for c in some]
    )


def curves() -> Iterable[str]:
    """Every kind of curve and the columns of its frame."""
    shared = dict.fromkeys(BY_LAG, ("kind", "lag", "ln_norm", "q05", "q50", "q95"))
    rows = [
        [f"`{name}`", f"`{kind.probe}`", ", ".join(f"`{c}`" for c in shared.get(name, tuple(kind.columns)))]
        for name, kind in KINDS.items()
    ]
    yield from _table(["kind", "probe", "columns between `point_id` and the parameters"], rows)


def settings() -> Iterable[str]:
    """Every setting, its variable and its option."""
    rows = []
    for name, info in Settings.model_fields.items():
        default = {"db": "SQLite in the data folder", "workers": "every core", "memory": "1GiB"}.get(
            name, info.default
        )
        rows.append([f"`--{name}`", f"`LONGLAG_{name.upper()}`", default, info.description or ""])
    yield from _table(["option", "variable", "default", "meaning"], rows)


def index() -> Iterable[str]:
    """Tables and views of the index."""
    yield f"Schema {SCHEMA}. Tables:\n"
    measured = {c.name for c in BASE_COLUMNS} | {c.name for probe in PROBES.values() for c in probe.columns}
    rows = []
    for table in metadata.sorted_tables:
        names = [f"`{c.name}`" for c in table.columns if c.name not in PARAMETERS and c.name not in measured]
        if table.name == "measures":
            names.insert(1, "every parameter, every column above that is not a list")
        rows.append([f"`{table.name}`", ", ".join(names)])
    yield from _table(["table", "columns"], rows)
    yield "\nViews: " + ", ".join(f"`{name}`" for name in views([])) + "."


def client() -> Iterable[str]:
    """Public methods of the client."""
    methods = inspect.getmembers(Client, inspect.isfunction)
    calls = [
        (
            "Client",
            Client.__init__,
            "settings; what is not given comes from the environment, or is the default",
        )
    ]
    calls += [(f"client.{name}", method, "") for name, method in methods if not name.startswith("_")]
    rows = [[f"`{name}{_signature(method)}`", doc or _summary(method)] for name, method, doc in calls]
    yield from _table(["call", "meaning"], rows)


def _signature(method: Callable[..., Any]) -> str:
    """Names and defaults of the parameters, without types."""
    given = [p.replace(annotation=p.empty) for p in inspect.signature(method).parameters.values()]
    return str(inspect.Signature(given[1:])).replace("PosixPath", "").replace("'", '"')


def _summary(method: Callable[..., Any]) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(method) or "").split("\n\n")[0].replace("``", "`")


PARTS: dict[str, Callable[[], Iterable[str]]] = {
    part.__name__: part for part in (verbs, parameters, cells, columns, curves, settings, index, client)
}


def render(page: str) -> str:
    """The page with every generated part made anew."""
    return _PART.sub(lambda m: m[1] + "\n" + "\n".join(PARTS[m[2]]()).strip() + "\n\n" + m[3], page)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterable[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(' '.join(str(cell).split()).replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = render(before)
    PAGE.write_text(after, encoding="utf-8")
    sys.stdout.write("unchanged\n" if before == after else "written anew\n")
