"""What people see: lines that are aligned and tables that fit.

In a terminal there is colour; anywhere else plain text, with neither control codes nor box drawing.
``NO_COLOR`` is honoured. Results go to standard output; progress, hints and errors to standard error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

PLAIN_WIDTH = 120
"""Columns that a summary may take where there is no terminal to ask."""
_SHOWN_ROWS = 50


class Line(NamedTuple):
    """A line of text and, in a terminal, its style and what becomes of it where it is too long.

    ``fit``: broken between words, cut, or left whole so that it can be copied. Without a terminal it is whole.
    """

    text: str = ""
    style: str = ""
    fit: Literal["words", "cut", "whole"] = "words"


class Screen:
    """The two streams of a command. ``quiet``: no summaries or hints; results and errors only."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.out = Console(highlight=False, markup=False, emoji=False)
        self.err = Console(highlight=False, markup=False, emoji=False, stderr=True)

    @property
    def width(self) -> int:
        """Columns of the terminal, or of plain text."""
        return self.out.width if self.out.is_terminal else PLAIN_WIDTH

    def result(self, *lines: Line | str) -> None:
        """Lines of what was asked for."""
        for line in lines:
            _print(self.out, *(line if isinstance(line, Line) else Line(line)))

    def say(self, *lines: Line | str) -> None:
        """Lines around the result, unless quiet."""
        if not self.quiet:
            self.result(*lines)

    def note(self, text: str) -> None:
        """A remark on standard error, unless quiet."""
        if not self.quiet:
            _print(self.err, text, "dim")

    def busy(self, text: str) -> AbstractContextManager[object]:
        """A sign of life in a terminal, while something takes seconds."""
        return self.err.status(text) if self.err.is_terminal and not self.quiet else nullcontext()

    def error(self, text: str, kind: str = "error") -> None:
        """What went wrong, and what to do: one line on standard error."""
        _print(self.err, Text(f"{kind}: ", "bold red") + Text(text, "not bold"))

    def frame(self, frame: pd.DataFrame, more: str = "--csv, --json or --parquet FILE gives all") -> None:
        """A table for people: in a terminal what fits of it, elsewhere all of it, aligned."""
        rows = len(frame)
        shown = frame.head(_SHOWN_ROWS) if self.out.is_terminal else frame
        names = [str(name) for name in shown.columns]
        right = {i for i, name in enumerate(shown.columns) if _is_number(shown[name])}
        cells = [[_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)]
        fitting = _fitting(names, cells, self.out.width) if self.out.is_terminal else len(names)
        head, *body = aligned([names[:fitting], *(row[:fitting] for row in cells)], right)
        self.result(Line(head, "bold", "cut"), *(Line(line, fit="cut") for line in body))
        left_out = [f"{rows - len(shown):,} more rows"] if rows > len(shown) else []
        left_out += [f"{len(names) - fitting} more columns"] if fitting < len(names) else []
        if left_out:
            self.note(f"… {' and '.join(left_out)}: {more}")


def _print(console: Console, text: str | Text, style: str = "", fit: str = "words") -> None:
    if fit == "whole" or not console.is_terminal:
        console.print(text, style=style, crop=False, soft_wrap=True)
    elif fit == "cut":
        console.print(text, style=style, no_wrap=True, overflow="ellipsis")
    else:
        console.print(text, style=style)


def size(count: float) -> str:
    """Bytes as people read them, in the units of ``--memory``: 812 B, 3.4 MiB, 1.2 GiB."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1023.5 and len(units) > 1:
        count /= 1024
        del units[0]
    digits = 0 if units[0] == "B" or count >= 9.95 or count == int(count) else 1
    return f"{count:.{digits}f} {units[0]}"


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "  ") -> list[str]:
    """Rows of text in columns, those of ``right`` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _fitting(names: list[str], cells: list[list[str]], width: int) -> int:
    """How many columns fit; at least one."""
    used = -2
    for i, name in enumerate(names):
        used += 2 + max([len(name), *(len(row[i]) for row in cells)])
        if used > width:
            return max(i, 1)
    return len(names)


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "iuf"


def _cell(value: Any) -> str:
    """One value as text: six digits of a float, – where there is none; a line stays one line."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.6g}"
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "–"
    return " ".join(str(value).split()) if isinstance(value, str) else str(value)
