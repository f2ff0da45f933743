"""Tables as they leave: aligned for people; CSV, JSON and Parquet, with every digit, for programs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import typer

if TYPE_CHECKING:
    import pandas as pd

    from .options import Options


def one_form(csv: bool, json: bool, parquet: Path | None) -> None:
    """Raises BadParameter where several forms of a table are asked for."""
    if csv + json + (parquet is not None) > 1:
        raise typer.BadParameter("give one of --csv, --json and --parquet FILE")


def give(options: Options, frame: pd.DataFrame, csv: bool, json: bool, parquet: Path | None) -> None:
    """A table in the form that was asked for: for people, unless another is. Raises BadParameter for several."""
    one_form(csv, json, parquet)
    if csv:
        write_csv(frame)
    elif json:
        write_json(frame)
    elif parquet is not None:
        write_parquet(frame, parquet)
        options.screen.note(f"{len(frame):,} rows in {parquet}")
    else:
        options.screen.frame(frame)


def write_csv(frame: pd.DataFrame) -> None:
    """CSV on standard output; what is null is empty."""
    frame.to_csv(sys.stdout, index=False)


def write_json(frame: pd.DataFrame) -> None:
    """A JSON array of objects on standard output, one a line; an infinite number is the text "Infinity".

    JSON has no infinity; PostgreSQL writes it so too.
    """
    names = [str(name) for name in frame.columns]
    rows = (
        dict(zip(names, map(_plain, row), strict=True)) for row in frame.itertuples(index=False, name=None)
    )
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    sys.stdout.write(f"[{lines}]\n")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """A Parquet file, there whole or not at all. Raises OSError."""
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        frame.to_parquet(aside, index=False)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """A value as JSON can have it."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, bool | int | float | str) else str(value)
