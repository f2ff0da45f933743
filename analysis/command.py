"""The command line of every analysis: ``python -m longlag.analysis.horizon STUDY [--data …] [--out FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ..workers.errors import LonglagError
from .load import Frames, from_client

PICTURES = (".svg", ".png", ".pdf")


def run(
    module: str,
    about: str,
    table: Callable[[Frames], pd.DataFrame],
    *,
    shown: Callable[[pd.DataFrame], pd.DataFrame],
    figure: str | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Print one analysis of a stored study; with ``--out`` write its table (.csv) or its picture as well.

    Returns the exit status: 0, or 1 with one line on standard error; a wrong call ends with 2.
    """
    allowed = (".csv", *(PICTURES if figure else ()))
    endings = ".csv for the table" + (f"; {', '.join(PICTURES)} for the picture" if figure else "")
    parser = arguments(module, about)
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"write a file as well: {endings}")
    given = parser.parse_args(argv)
    if given.out and given.out.suffix.lower() not in allowed:
        parser.error(f"--out {given.out}: give a name that ends in {', '.join(allowed)}")

    def show(frames: Frames) -> None:
        result = table(frames)
        print(shown(result).to_string(index=False, na_rep="–") if len(result) else "nothing to show")
        if given.out:
            _write(given.out, frames, result, figure)
            print(f"wrote {given.out}")

    return on_study(given, show)


def arguments(module: str, about: str) -> argparse.ArgumentParser:
    """A parser for a study, its revision, and where it is stored."""
    parser = argparse.ArgumentParser(prog=f"python -m longlag.analysis.{module}", description=about)
    parser.add_argument("study", help="name of a study in the store")
    parser.add_argument("--revision", type=int, help="an older revision (default: the current one)")
    parser.add_argument("--data", help="folder of the store (default: LONGLAG_DATA, or ./longlag-data)")
    parser.add_argument(
        "--db", help="SQLAlchemy URL of the index (default: LONGLAG_DB, or SQLite in the store)"
    )
    return parser


def on_study(given: argparse.Namespace, act: Callable[[Frames], None]) -> int:
    """Load the study that was asked for and act on it; what goes wrong is one line on standard error, and 1."""
    from ..service.client import Client

    try:
        act(from_client(Client(data=given.data, db=given.db), given.study, given.revision))
    except (LonglagError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _write(path: Path, frames: Frames, table: pd.DataFrame, figure: str | None) -> None:
    if path.suffix.lower() == ".csv" or figure is None:
        table.to_csv(path, index=False)
        return
    from .figures import FIGURES
    from .figures.sheet import save

    save(FIGURES[figure], frames, path)
