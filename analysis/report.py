"""The report: one HTML file that needs nothing else, and beside it a folder with its tables as CSV.

``python -m longlag.analysis.report STUDY --out report.html`` writes it.
"""

from __future__ import annotations

import base64
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup, escape

from . import (
    compare,
    coverage,
    curves,
    decay,
    gates,
    gradient_growth,
    horizon,
    lyapunov,
    mean_field,
    memory,
    pairs,
    phase,
    preserved,
    saturated,
    saturation,
    seeds,
    sensitivity,
    singular_values,
    truncation,
    verification,
)
from .command import arguments, on_study
from .figures import FIGURES, Figure
from .figures.sheet import picture
from .findings import Finding, findings
from .load import Frames, from_client
from .tables import Table, comparisons, counts, horizons, lengths, reasons
from .text import plural, short

if TYPE_CHECKING:
    from ..service.client import Client

TEMPLATE = "report.html.jinja"

TABLES: dict[str, tuple[str, Callable[[Frames], pd.DataFrame]]] = {
    "coverage": ("points of every status by cell variant", coverage.table),
    "horizon": ("horizons of every level, γ and length, with intervals and censoring", horizon.table),
    "decay": ("decay rate, realised γ, end of the curve and gap to the bound", decay.table),
    "phase": ("what is left over the whole sequence, and statuses, by γ and length", phase.table),
    "compare": ("paired differences between cell variants", compare.table),
    "saturation": (
        "mean f' by step, with the guide of a memory cell, for the γ that are drawn",
        saturation.table,
    ),
    "lag_curves": ("the curves by lag, in natural logarithms, for the γ that are drawn", curves.table),
}
"""CSV files beside a report: what is in them, and who computes them."""

MORE_TABLES: dict[str, tuple[str, Callable[[Frames], pd.DataFrame]]] = {
    "mean_field": ("mean-field growth per step of the simple cell, measured against it", mean_field.table),
    "lyapunov": ("largest Lyapunov exponent and Kaplan–Yorke dimension", lyapunov.table),
    "lyapunov_spectrum": ("every Lyapunov exponent, for the γ that are drawn", lyapunov.spectrum),
    "singular_values": (
        "singular values of the product of Jacobians by lag, their condition and rank, for the γ that are drawn",
        singular_values.table,
    ),
    "truncation": ("windows that hold 90 and 99 % of the gradient", truncation.table),
    "truncation_curves": (
        "bias, cosine and share of truncated gradients by window, for the γ that are drawn",
        truncation.curves,
    ),
    "saturated": ("fractions of saturated units by step, for the γ that are drawn", saturated.table),
    "dead_units": ("fractions of dead ReLU units by γ and length", saturated.dead),
    "all_pairs": ("error terms of a loss at every step by lag, for the γ that are drawn", pairs.table),
    "gates": ("gate times, and fractions of gates that are open or closed", gates.table),
    "gates_by_step": ("keep gates that are open or closed by step, for the γ that are drawn", gates.steps),
    "memory": ("memory capacity, its rank and what is there by chance", memory.table),
    "memory_function": ("memory function by lag, for the γ that are drawn", memory.function),
    "preserved_norm": ("Ω of the error terms' norms, in both forms", preserved.table),
    "preserved_norm_by_lag": ("one-step ratios of norms by lag, for the γ that are drawn", preserved.ratios),
    "sensitivity": (
        "mean squares of the state and of its derivative, in natural logarithms",
        sensitivity.table,
    ),
    "gradient_growth": (
        "gradient of the input weights for an error of one, by length, in natural logarithms",
        gradient_growth.table,
    ),
    "seeds": ("averages over seeds at the end of the curve, in natural logarithms", seeds.table),
}
"""CSV files of probes that are measured by request: written where they have rows."""


@dataclass(frozen=True)
class Picture:
    """One panel as the page shows it."""

    alt: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """One section of the page: a question, what answers it, and how it was averaged."""

    name: str
    title: str
    question: str
    pictures: list[Picture] = field(default_factory=list)
    caption: str = ""
    tables: list[Table] = field(default_factory=list)
    more: list[Table] = field(default_factory=list)
    missing: str | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    """Titles of usual sections that this report cannot have, and why."""


@dataclass(frozen=True)
class Report:
    """A report that is ready to be written: the page and its tables."""

    frames: Frames
    sections: list[Section]
    findings: list[Finding]
    tables: dict[str, pd.DataFrame]
    study: str | None = None
    description: str = ""

    def html(self, folder: str = "report_tables") -> str:
        """The page; ``folder`` is where it says that the CSV files are."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        here = Environment(
            loader=PackageLoader(__package__ or "longlag.analysis", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        here.filters["powers"] = powers
        about = {name: text for name, (text, _) in {**TABLES, **MORE_TABLES}.items()}
        files = [(name, about[name], len(table)) for name, table in self.tables.items()]
        return here.get_template(TEMPLATE).render(
            report=self,
            shown={s.name for s in self.sections},
            facts=facts(self.frames),
            files=files,
            folder=folder,
            written=datetime.now(UTC),
        )

    def write(self, path: str | Path = "report.html") -> Path:
        """Write the page to ``path``, the tables into a folder beside it (``report_tables/`` for ``report.html``).

        Each file is written aside and renamed: it is there whole or not at all. Raises OSError.
        """
        path = Path(path)
        folder = path.with_name(f"{path.stem}_tables")
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            _replace(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.9g"))
        _replace(path, self.html(folder.name))
        return path


def write_report(
    client: Client, study: str, path: str | Path = "report.html", revision: int | None = None
) -> Path:
    """Read a study through its client, and write its report. Returns the path of the page."""
    frames = from_client(client, study, revision)
    return report_of(frames, study=study).write(path)


def build_report(
    runs: pd.DataFrame,
    curves: pd.DataFrame | None = None,
    saturation: pd.DataFrame | None = None,
    title: str = "longlag",
    *,
    points: pd.DataFrame | None = None,
    lists: Mapping[str, pd.DataFrame] | None = None,
    description: str = "",
    study: str | None = None,
) -> Report:
    """A report of the frames that a client returns; see ``load`` for what they hold.

    ``points``: every point of the study, so that those without a run are counted as missing. ``study``: the name
    under which a store has it, for the commands that the page suggests.
    """
    frames = Frames.of(runs, curves, saturation, title=title, points=points, lists=lists)
    return report_of(frames, study=study, description=description)


def report_of(frames: Frames, *, study: str | None = None, description: str = "") -> Report:
    """A report of frames that are loaded."""
    tables = {name: compute(frames) for name, (_, compute) in TABLES.items()}
    more = {name: compute(frames) for name, (_, compute) in MORE_TABLES.items()}
    tables |= {name: table for name, table in more.items() if len(table)}
    sections = [_coverage(frames, tables["coverage"])]
    absent = {}
    for figure in FIGURES.values():
        section = _section(frames, figure)
        if section.missing:
            absent |= {} if figure.optional else {figure.title: section.missing}
            continue
        if figure.name == "horizons" and section.missing is None:
            section.tables.append(horizons(frames, tables["horizon"], tables["decay"]))
            section.more.append(lengths(tables["horizon"]))
        sections.append(section)
    sections[0] = replace(sections[0], absent=absent)
    if len(tables["compare"]):
        sections.append(_compare(frames, tables["compare"]))
    if frames.scorecard:
        sections.append(_verification(frames.scorecard))
    return Report(frames, sections, findings(frames), tables, study, description or frames.description)


def _section(frames: Frames, figure: Figure) -> Section:
    reason = figure.missing(frames)
    if reason:
        return Section(figure.name, figure.title, figure.question, missing=reason)
    pictures = []
    for panel in figure.panels(frames):
        data = base64.b64encode(picture(panel)).decode()
        width, height = (round(96 * inches) for inches in panel.size)
        pictures.append(Picture(panel.alt, f"data:image/svg+xml;base64,{data}", width, height))
    tables, more = (make(frames) if make else [] for make in (figure.tables, figure.more))
    return Section(figure.name, figure.title, figure.question, pictures, figure.caption(frames), tables, more)


def _coverage(frames: Frames, table: pd.DataFrame) -> Section:
    section = Section("coverage", "What was run", "How many points are there, and what came of them?")
    section.tables.append(counts(table))
    if len(why := coverage.details(frames)):
        section.tables.append(reasons(why))
    return section


def _compare(frames: Frames, table: pd.DataFrame) -> Section:
    caption = (
        "Differences are taken seed by seed between points that are equal in γ, length, weights and "
        "inputs, and then "
        "averaged: mean and 95 % t-interval over the seeds that both have. A positive difference of "
        "decay rates "
        "(natural logarithm a lag) means that the error lives longer."
    )
    return Section(
        "compare",
        "What a change does",
        "Which variant carries the error farther, at the same γ and the same seeds?",
        caption=caption,
        tables=[comparisons(compare.headline(frames, table))],
        more=[comparisons(compare.longest_only(table))],
    )


def _verification(scorecard: Mapping[str, Any]) -> Section:
    return Section(
        "verification",
        "Why to believe these numbers",
        "Does the engine of this installation meet what is known in closed form?",
        caption=verification.caption(scorecard),
        tables=[verification.by_subject(scorecard)],
        more=[verification.every(scorecard)],
    )


def powers(text: str) -> Markup:
    """``10^−48.4`` and ``γ^ℓ`` with their exponents raised, ``σ_1`` and ``J_{t−1}`` with their indices lowered."""
    raised = re.sub(r"\^([−\d.,]*[\dℓ])", r"<sup>\1</sup>", str(escape(text)))
    return Markup(re.sub(r"(?<!\w)([σλγJg])_(?:\{([^}]*)\}|(\w))(?!\w)", r"\1<sub>\2\3</sub>", raised))


def facts(frames: Frames) -> list[str]:
    """The study in a line: points, variants, γ, T, seeds."""
    runs = frames.runs
    gammas, lengths_ = runs["gamma"].dropna(), sorted(runs["length"].unique())
    parts = [plural(len(runs), "point"), plural(len(frames.variants), "cell variant")]
    if len(gammas):
        low, high = gammas.min(), gammas.max()
        parts.append(f"γ = {short(low)}" if low == high else f"γ from {short(low)} to {short(high)}")
    if len(lengths_):
        shown = [f"{v:,}" for v in lengths_]
        parts.append(f"T = {', '.join(shown if len(shown) < 7 else [*shown[:3], '…', shown[-1]])}")
    parts.append(plural(int(runs["seed"].nunique()), "seed"))
    return parts


def _replace(path: Path, text: str) -> None:
    """Write a file aside in its folder and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report of a stored study."""
    parser = arguments("report", "The report of a study: one HTML file, and its tables as CSV beside it.")
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html"
    )
    given = parser.parse_args(argv)

    def write(frames: Frames) -> None:
        print(f"wrote {report_of(frames, study=given.study).write(given.out)}")

    return on_study(given, write)


if __name__ == "__main__":
    raise SystemExit(main())
