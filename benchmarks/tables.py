"""Results as people read them: one Markdown table a group, and one line a workload while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from . import GROUPS
from .machine import one_line
from .peers import INSTALL
from .results import Result

WHAT = {
    "sweeps": (
        "Seconds of processor time, from arrays that are ready made on every side to ln‖δ‖ and ln‖λ‖ of every step "
        "and column, their curves by lag and all gradients. *Whole run* is what a worker does for the same points "
        "but for the file: it also draws weights and inputs, takes the norm behind γ_nominal, losses, quantiles "
        "and the status."
    ),
    "pairs": "Processor time from ready-made arrays to ln‖δ_{t,k}‖ of a loss at every step t, T²/2 a column.",
    "lyapunov": "Processor time of the probe's spectrum. Ours draws the arrays too; the peers have them ready.",
    "studies": "Time of a process, from a grid to rows that can be asked for: every point measured and stored.",
    "scaling": (
        "From the beginning of planning to the last commit, simulated (`docs/scaling.md`); the limit is workers "
        "that do nothing but compute."
    ),
    "millions": "From a grid to rows that can be asked for; then the same again, and queries over all of them.",
    "startup": "A process from its start to its end; the limit is an interpreter that does nothing.",
}
"""What the clock of a group runs over."""


def seconds(value: float) -> str:
    """Three digits, in the unit that suits: 285 ms, 1.35 s, 12 min."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value >= 0.9995:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def number(value: float) -> str:
    """As people write it: three digits, and all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def line(result: Result) -> str:
    """One workload in a line: ours, the limit, peers, targets."""
    parts = [f"ours {seconds(result.ours)}"]
    if result.over_limit is not None and result.limit is not None:
        parts.append(f"limit {seconds(result.limit)} ({result.over_limit:.2f} ×)")
    parts += [
        f"{name} {seconds(value)} ({result.ahead[name]:.2f} ×)"
        for name, value in result.others.items()
        if value is not None
    ]
    parts += [_target(result, "; ")] if result.targets else []
    return f"{result.workload}: {', '.join(parts)}"


def markdown(rows: Sequence[Result], machines: Mapping[str, Mapping[str, Any]]) -> str:
    """All groups: what is timed, a table each, the machine."""
    text = [
        "# What longlag takes",
        "",
        (
            "Written by `longlag bench`. Medians of interleaved repetitions in one run; in brackets, of the "
            "limit *ours over it*, of a peer *its time over ours*. How to read it: "
            "[`docs/performance.md`](../../docs/performance.md)."
        ),
    ]
    there = {name for row in rows for name, taken in row.others.items() if taken is not None}
    lacking = list(dict.fromkeys(name for row in rows for name in row.others if name not in there))
    if lacking:
        text += ["", f"Not installed, so their columns are empty: {', '.join(lacking)} (`{INSTALL}`)."]
    order = [*GROUPS]
    rows = sorted(rows, key=lambda r: order.index(r.group) if r.group in order else len(order))
    for group, some in groupby(rows, key=lambda r: r.group):
        title = GROUPS[group].line if group in GROUPS else group
        text += ["", f"## {group}: {title}", ""]
        text += [WHAT[group], ""] if group in WHAT else []
        text += _table(list(some))
        if group in machines:
            text += ["", f"Measured on {one_line(dict(machines[group]))}."]
    return "\n".join(text) + "\n"


def _table(rows: Sequence[Result]) -> list[str]:
    peers = list(dict.fromkeys(name for row in rows for name in row.others))
    whole = any("whole run (s)" in row.details for row in rows)
    limit = any(row.limit is not None for row in rows)
    notes = any(row.note for row in rows)
    head = [
        "workload",
        "ours",
        *(["whole run"] if whole else []),
        *(["limit"] if limit else []),
        *peers,
        "targets",
    ]
    head += ["note"] if notes else []
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row.workload, f"**{seconds(row.ours)}**"]
        if whole:
            taken = row.details.get("whole run (s)")
            cells.append("" if taken is None else seconds(taken))
        if limit:
            cells.append("" if row.limit is None else f"{seconds(row.limit)} ({row.over_limit:.2f} ×)")
        for name in peers:
            taken = row.others.get(name)
            cells.append("" if taken is None else f"{seconds(taken)} ({row.ahead[name]:.2f} ×)")
        lines.append([*cells, _target(row, "; "), *([row.note] if notes else [])])
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in lines]


def _target(row: Result, between: str) -> str:
    return between.join(f"{'✓' if t.reached else '✗'} {t.text}: {number(t.value)}" for t in row.targets)
