"""The verb ``bench``: runs groups of benchmarks, tells each row as it comes, and keeps them all in one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .screen import Line, aligned
from .service.errors import NotFound
from .workers.errors import nearest

if TYPE_CHECKING:
    from types import ModuleType

    from .benchmarks.results import Result
    from .options import Options
    from .screen import Screen


def checkout() -> ModuleType:
    """The package of benchmarks. Raises NotFound outside a checkout: a wheel does not hold it."""
    try:
        from . import benchmarks
    except ImportError:
        raise NotFound(
            f"longlag bench: no folder benchmarks in {Path(__file__).parent}: it is part of a checkout, not of an "
            "installed package; clone the repository and type 'uv run longlag bench' there"
        ) from None
    return benchmarks


def groups(given: Options, as_json: bool) -> None:
    """List the groups, and which peers are there."""
    known = checkout().GROUPS
    from .benchmarks.peers import INSTALL, PEERS, missing

    if as_json:
        rows = [{"group": name, "measures": group.line} for name, group in known.items()]
        given.screen.result(json.dumps(rows, ensure_ascii=False))
        return
    given.screen.result(*aligned([[name, group.line] for name, group in known.items()]), "")
    lines = [
        [f"{name}", f"{peer.line}{'' if peer.installed else ' (not installed)'}"]
        for name, peer in PEERS.items()
    ]
    given.screen.result(*aligned(lines))
    if missing():
        given.screen.say(f"peers that are not installed have empty columns: {INSTALL}")
    given.screen.say(Line(f"next: {given.command} bench {next(iter(known))}", "bold", "whole"))


def bench(
    given: Options, names: Sequence[str], quick: bool, only: str, out: Path | None, as_json: bool
) -> None:
    """Run groups (all where none is named), merge their rows into the machine's file, draw the table and figure."""
    package = checkout()
    for name in names:
        if name not in package.GROUPS:
            raise typer.BadParameter(f"no group is called {name!r}: {nearest(name, package.GROUPS)}")
    from .benchmarks import machine, results, tables
    from .benchmarks.peers import INSTALL, missing

    here = machine.describe()
    folder = Path(package.__file__ or "").parent / "results" if out is None else out
    path = folder / f"{machine.slug(here)}{'-quick' if quick else ''}.json"
    screen = given.screen
    if lacking := missing():
        screen.note(f"peers that are not installed have empty columns: {', '.join(lacking)}; {INSTALL}")
    rows: list[Result] = []
    for name in dict.fromkeys(names or package.GROUPS):
        for row in _rows(screen, name, package.GROUPS[name], quick, only):
            results.merge(path, here, [row])  # one by one: what is measured stays when the rest is stopped
            rows.append(row)
            if not as_json:
                screen.result(tables.line(row))
    if not rows:
        raise NotFound(
            f"longlag bench: no workload of {', '.join(names or package.GROUPS)} has {only!r} in its name"
        )
    with screen.busy("drawing"):
        table, picture = publish(path)
    if as_json:
        screen.result(json.dumps([row.as_dict() for row in rows], ensure_ascii=False))
        return
    missed = sum(row.reached is False for row in rows)
    aimed = sum(row.reached is not None for row in rows)
    screen.say("", f"{aimed - missed} of {aimed} workloads with a target reach it" if aimed else "no targets")
    screen.say(f"results {path} (table {table.name}, figure {picture.name})")
    screen.say(Line(f"next: {given.command} bench --list", "bold", "whole"))


def publish(path: Path) -> tuple[Path, Path]:
    """Write the table and the figure of all rows that a file of results has, beside it."""
    from .benchmarks import figure, results, tables

    content = results.read(path)
    rows = [results.Result.from_dict(row) for row in content["results"]]
    table, picture = path.with_suffix(".md"), path.with_suffix(".png")
    table.write_text(tables.markdown(rows, content["machine"]), encoding="utf-8")
    figure.draw(rows, picture)
    return table, picture


def _rows(screen: Screen, name: str, group: Any, quick: bool, only: str) -> Any:
    """The rows of a group, with a sign of life: in a terminal what is being done, elsewhere a line a workload."""
    from .benchmarks.timing import Run

    with screen.busy(f"{name}: {group.line}") as status:

        def say(text: str) -> None:
            if hasattr(status, "update"):
                status.update(f"{name}: {text}")  # type: ignore[union-attr]
            else:
                screen.note(f"{name}: {text}")

        yield from group.load()(Run(quick, only, say))
