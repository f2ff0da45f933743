"""A study: a grid, or the union of several, over the parameters of a point.

    Study("memory", cell=["memory", "lstm"], gamma=linspace(0.5, 1.0, 6), seed=range(3))
    Study("two", grids=[dict(cell="simple", activation=["tanh", "relu"]), dict(cell="lstm")], length=[16, 64])

A list, range, linspace or logspace is an axis; a scalar is fixed; keywords are shared by every grid, and a
grid's own value goes before the shared one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..workers.errors import InvalidPoint, LonglagError, nearest
from ..workers.many import Grid, Points
from ..workers.points import KERNEL_VERSION, PARAMETERS, Point, cell_parameters, cells_with, resolve
from ..workers.probes import DEFAULT_PROBES, check_probes
from .axes import Axis, checked, is_axis, linspace, logspace, normal
from .boxes import Box, meet, union, volume
from .errors import InvalidStudy
from .toml_text import parse, render

__all__ = ["MAX_POINTS", "Study", "linspace", "logspace"]

MAX_POINTS = 10_000_000
"""A larger grid is refused before it is expanded."""

_PART = 1 << 16
"""Points of a grid that are handed out together."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RELATED = ("gamma_kind", "length", "loss", "loss_times", "target")
"""Parameters whose values are checked, or settled, against each other and the cell; all others are free."""


class Study:
    """A named grid of points. Frozen: a changed grid is another Study, and a new revision of its name.

    ``probes`` are what is measured (default: ``DEFAULT_PROBES``). Raises InvalidStudy or InvalidPoint, in one
    line, for whatever cannot be: every value of every axis is looked at here, so that none is wrong later.
    """

    def __init__(
        self,
        name: str,
        grids: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        description: str = "",
        probes: Sequence[str] | None = None,
        **keywords: Any,
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidStudy(
                f"name = {name!r}: give 1 to 100 letters, digits, '.', '_' or '-', a letter or digit first"
            )
        if not isinstance(description, str):
            raise InvalidStudy(f"description = {description!r}: give a text")
        grids = [grids] if isinstance(grids, Mapping) else [{}] if grids is None else list(grids)
        if not grids or not all(isinstance(grid, Mapping) for grid in grids):
            raise InvalidStudy(
                "grids: give one dict, or a list of at least one: grids=[dict(cell=..., gamma=...), ...]"
            )
        if isinstance(probes, str):
            probes = [probes]
        self.name = name
        self.description = description
        self._probes = None if probes is None else check_probes(probes)
        self.shared = _normal(keywords)
        self.grids = tuple(_normal(grid) for grid in grids)
        self._boxes = [box for number in range(len(grids)) for box in self._expand(number)]
        _check_size(name, sum(map(volume, self._boxes)))
        check_probes(self.probes, (str(box["cell"][0]) for box in self._boxes))

    @property
    def probes(self) -> tuple[str, ...]:
        """What is measured at every point."""
        return self._probes if self._probes is not None else tuple(DEFAULT_PROBES)

    @cached_property
    def size(self) -> int:
        """How many distinct points there are; nothing is expanded for it."""
        families: dict[tuple[Any, ...], list[Box]] = {}
        for box in self._boxes:
            families.setdefault(_family(box), []).append(box)
        return sum(map(union, families.values()))

    def points(self) -> Iterator[Point]:
        """The distinct points, grid by grid in the order of the axes, the last axis fastest."""
        return (point for points in self.parts() for point in points)

    def parts(self) -> Iterator[Points]:
        """The same by thousands, without an object for each."""
        before: dict[tuple[Any, ...], list[Box]] = {}
        for box in self._boxes:
            family = before.setdefault(_family(box), [])
            earlier = [b for b in family if meet(b, box)]
            family.append(box)
            grid = Grid(box)
            places = np.arange(grid.size, dtype=np.int32)
            for other in earlier:
                places = places[~grid.inside(other, places)]
            for start in range(0, len(places), _PART):
                yield Points([(grid, places[start : start + _PART])])

    def ids(self) -> Iterator[str]:
        """The point_ids, in the order of the points."""
        return (point_id for points in self.parts() for point_id in points.ids())

    @cached_property
    def digest(self) -> str:
        """128-bit hash of the grid, the probes and the kernel's version: equal digests mean equal points.

        Neither the order in which grids, axes and values are written nor the name and description change it,
        so that a finished revision is recognised without expanding it.
        """
        boxes = [{name: sorted(v) for name, v in box.items() if v[0] is not None} for box in self._boxes]
        texts = sorted({json.dumps(box, sort_keys=True) for box in boxes})
        form = json.dumps({"kernel": KERNEL_VERSION, "probes": sorted(self.probes), "boxes": texts})
        return hashlib.blake2b(form.encode(), digest_size=16).hexdigest()

    def _expand(self, number: int) -> Iterator[Box]:
        """Grid ``number`` as boxes: one a combination of related parameters, the others left as axes."""
        given = {**self.shared, **self.grids[number]}
        values = {name: checked(name, value) for name, value in given.items() if value is not None}
        cells = values.pop("cell", (PARAMETERS["cell"].default,))
        _check_size(self.name, len(cells) * math.prod(map(len, values.values())))
        lacking = {cell: [name for name in values if name not in cell_parameters(cell)] for cell in cells}
        if any(lacking.values()):
            raise InvalidStudy(self._lacks(number, lacking))
        related = {name: values[name] for name in _RELATED if name in values}
        free = {name: axis for name, axis in values.items() if name not in _RELATED}
        first = {name: axis[0] for name, axis in free.items()}
        settled: set[tuple[Any, ...]] = set()
        for cell in cells:
            for width in free.get("hidden_size", ()):  # of the free ones, the only one that a cell limits
                resolve({"cell": cell, "hidden_size": width})
            for combination in product(*related.values()):
                chosen = dict(zip(related, combination, strict=True))
                point = resolve({"cell": cell, **chosen, **first})
                key = (cell, *(point[name] for name in _RELATED))
                if key not in settled:  # loss_times = every and = length are the same
                    settled.add(key)
                    yield {name: free.get(name, (value,)) for name, value in point.items()}

    def _lacks(self, number: int, lacking: dict[str, list[str]]) -> str:
        """What to do where cells lack parameters of grid ``number``: the study with a grid for each kind."""
        cell, names = next((c, n) for c, n in lacking.items() if n)
        text = f"the {cell} cell has no {names[0]} (cells that have it: {', '.join(cells_with(names[0]))})"
        moved = {name for names in lacking.values() for name in names}
        if len(self.grids) == len(lacking) == 1:
            return f"{text}: leave {names[0]} out, or give cell = {cells_with(names[0])[0]!r}"
        shared = {key: value for key, value in self.shared.items() if key not in moved | {"cell"}}
        grids: list[dict[str, Any]] = []
        for other, own in enumerate(self.grids):
            grid = {"cell": PARAMETERS["cell"].default, **self.shared, **own}
            grid = {key: value for key, value in grid.items() if key in own or key not in shared}
            kinds = list(dict.fromkeys(map(tuple, lacking.values()))) if other == number else [()]
            for kind in kinds:
                cells = tuple(c for c, missing in lacking.items() if tuple(missing) == kind)
                cell_of = {"cell": cells[0] if len(cells) == 1 else cells} if other == number else {}
                grids.append({key: value for key, value in {**grid, **cell_of}.items() if key not in kind})
        study = _call(self.name, grids, self.description, self._probes, shared)
        return f"{text}; give grids of their own: {study}"

    @classmethod
    def from_toml(cls, text: str) -> Study:
        """A study from the text of a study file; InvalidStudy gives line and column where it is not TOML."""
        return cls(**parse(text))

    def to_toml(self) -> str:
        """The study as the text of a study file; ``from_toml`` gives an equal study."""
        return render(self.name, self.description, self._probes, self.shared, self.grids)

    @classmethod
    def from_file(cls, path: str | Path) -> Study:
        """A study from a TOML file. Raises InvalidStudy with the file's name before what is wrong with it."""
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except (FileNotFoundError, IsADirectoryError):
            raise InvalidStudy(f"there is no study file {path}: give the path of a TOML file") from None
        except UnicodeDecodeError as error:
            raise InvalidStudy(
                f"{path}, byte {error.start}: this is not TOML: it is not UTF-8 text"
            ) from None
        except OSError as error:
            raise InvalidStudy(f"{path} cannot be read: {error.strerror}") from None
        except LonglagError as error:
            raise InvalidStudy(f"{path}: {error}") from None

    def to_file(self, path: str | Path) -> None:
        """Write the study as a TOML file."""
        Path(path).write_text(self.to_toml(), encoding="utf-8")

    def __repr__(self) -> str:
        return _call(self.name, self.grids, self.description, self._probes, self.shared)

    def __eq__(self, other: object) -> bool:
        """Equal name and description, and equal points and probes."""
        return isinstance(other, Study) and (self.name, self.description, self.digest) == (
            other.name,
            other.description,
            other.digest,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.digest))


def _normal(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in PARAMETERS:
            raise InvalidPoint(f"no cell has a parameter {name!r}: {nearest(name, PARAMETERS)}")
    return {name: value for name, v in given.items() if (value := normal(name, v)) is not None}


def _call(
    name: str,
    grids: Sequence[Mapping[str, Any]],
    description: str,
    probes: Sequence[str] | None,
    shared: Mapping[str, Any],
) -> str:
    """The study as one would type it in Python."""

    def typed(value: Any) -> str:
        if isinstance(value, range) and value.start == 0 and value.step == 1:
            return f"range({len(value)})"
        return repr(list(value)) if is_axis(value) and not isinstance(value, Axis | range) else repr(value)

    def keywords(table: Mapping[str, Any]) -> Iterable[str]:
        return (f"{key}={typed(value)}" for key, value in table.items())

    parts = [repr(name)]
    if len(grids) > 1 or grids[0]:
        parts.append(f"grids=[{', '.join('dict(' + ', '.join(keywords(grid)) + ')' for grid in grids)}]")
    if description:
        parts.append(f"description={description!r}")
    if probes is not None:
        parts.append(f"probes={list(probes)!r}")
    return f"Study({', '.join([*parts, *keywords(shared)])})"


def _check_size(name: str, size: int) -> None:
    if size > MAX_POINTS:
        raise InvalidStudy(
            f"{name} has {size:,} points: a study has at most {MAX_POINTS:,}; cut it in several"
        )


def _family(box: Box) -> tuple[Any, ...]:
    """The parameters of which every box has one value: only boxes of one family can share points."""
    return (box["cell"], *(box[name] for name in _RELATED))
