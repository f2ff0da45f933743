"""What a benchmark gives: rows with times, ratios and targets; as JSON, which groups run apart are merged into."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..workers.errors import BadFile

FORMAT = 1
"""Of the JSON file."""


@dataclass(frozen=True)
class Target:
    """What is to be reached: ``value`` at most (or at least) ``bound``. ``what`` says of what, with its unit.

    Target("× the limit", 1.3, 1.4, at_most=True) reads "≤ 1.4 × the limit" and is reached.
    """

    what: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is within its bound; a value that is not a number is not."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def text(self) -> str:
        """As people read it: ≥ 2 × the best peer."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:,g} {self.what}"


@dataclass(frozen=True)
class Result:
    """One workload: times in seconds, medians of interleaved repetitions of one run.

    ``limit`` is the least time that the machine allows, None where there is no such thing. ``others`` are the times
    of peers by name, None for one that is not installed or was not run. ``measured`` are ratios that were taken
    round by round; those that are lacking are quotients of the medians. ``details`` is anything else that a
    reader of the JSON may want (numbers, text, lists of them). Raises ValueError where a time is not positive
    and finite.
    """

    group: str
    workload: str
    ours: float
    limit: float | None = None
    others: Mapping[str, float | None] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.group or not self.workload:
            raise ValueError(f"a result of {self.group!r}, {self.workload!r}: give it a group and a workload")
        times = {"ours": self.ours, "limit": self.limit, **self.others}
        for name, seconds in times.items():
            if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(
                    f"{self.workload}: the time of {name} is {seconds!r}: give seconds above zero, or None where "
                    "it was not measured"
                )
        if unknown := set(self.measured) - {"limit", *self.others}:
            raise ValueError(
                f"{self.workload}: a ratio to {', '.join(sorted(unknown))}, of which there is no time"
            )

    @property
    def kind(self) -> str:
        """What its workload's name begins with: a cell, a number of points."""
        return self.workload.split(" ")[0]

    @property
    def over_limit(self) -> float | None:
        """Ours over the limit: 1 is all that the machine can do."""
        return None if self.limit is None else self.measured.get("limit", self.ours / self.limit)

    @property
    def ahead(self) -> dict[str, float | None]:
        """Each peer's time over ours: 2 is a peer that takes twice as long."""
        return {
            name: None if seconds is None else self.measured.get(name, seconds / self.ours)
            for name, seconds in self.others.items()
        }

    @property
    def reached(self) -> bool | None:
        """Whether every target is; None where there is none."""
        return all(target.reached for target in self.targets) if self.targets else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was measured, and what follows from it."""
        targets = [asdict(t) | {"text": t.text, "reached": t.reached} for t in self.targets]
        derived = {"over_limit": self.over_limit, "ahead": self.ahead, "reached": self.reached}
        return {**asdict(self), "targets": targets, **derived}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Result:
        """From JSON; what follows from the rest is worked out anew."""
        names = ("group", "workload", "ours", "limit", "others", "measured", "note", "details")
        targets = [Target(t["what"], t["value"], t["bound"], t["at_most"]) for t in given["targets"]]
        return cls(**{name: given[name] for name in names}, targets=tuple(targets))


def merge(path: Path, machine: Mapping[str, Any], results: Iterable[Result]) -> list[Result]:
    """Put results into a file: a row takes the place of the one of the same group and workload, others stay.

    Returns all rows that the file has now. ``machine`` is put beside every group that was run, so that rows of
    several days do not pass for one. Raises BadFile for a file of another format.
    """
    new = list(results)
    kept = read(path) if path.exists() else {"results": [], "machine": {}}
    by_name = {(r.group, r.workload): r for r in (*map(Result.from_dict, kept["results"]), *new)}
    kinds = [(r.group, r.kind) for r in by_name.values()]  # rows that came later stand with their like
    rows = sorted(by_name.values(), key=lambda r: (r.group, kinds.index((r.group, r.kind))))
    machines = {**kept["machine"], **{r.group: dict(machine) for r in new}}
    text = json.dumps(
        {"format": FORMAT, "machine": machines, "results": [r.as_dict() for r in rows]},
        indent=1,
        ensure_ascii=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".json.new")
    aside.write_text(text + "\n", encoding="utf-8")
    os.replace(aside, path)
    return rows


def read(path: Path) -> dict[str, Any]:
    """A file of results as it is. Raises BadFile where it is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadFile(f"{path}: no results of format {FORMAT}: move it away, and run longlag bench again")
    return content
