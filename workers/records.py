"""Record files: one Parquet file a shard, one row a point, there whole or not at all.

A file is written aside, synced, and linked to its name without overwriting: of two deliveries of one shard the
first stays. The footer says which kernel, packages and machine made it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_info

from .errors import BadFile
from .points import KERNEL_VERSION, PARAMETERS, Point
from .probes import BASE_COLUMNS, PROBES
from .probes.base import Column

SCHEMA_VERSION = 1
_ARROW = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "list<float64>": pa.list_(pa.float64()),
    "list<int64>": pa.list_(pa.int64()),
}
_OF_TYPE = {str: "string", float: "float64", int: "int64"}


def schema(probes: Iterable[str]) -> pa.Schema:
    """point_id, every parameter, the base columns, seconds, then the columns of the probes."""
    fields = [pa.field("point_id", pa.string(), nullable=False)]
    fields += [pa.field(p.name, _ARROW[_OF_TYPE[p.type]]) for p in PARAMETERS.values()]
    fields += [_field(column) for column in BASE_COLUMNS]
    fields += [pa.field("seconds", pa.float64())]
    fields += [_field(column) for name in probes for column in PROBES[name].columns]
    return pa.schema(fields)


def _field(column: Column) -> pa.Field:
    return pa.field(column.name, _ARROW[column.type])


def table(
    points: list[Point], ids: list[str], rows: list[dict[str, Any]], probes: Iterable[str], seconds: float
) -> pa.Table:
    """The rows of a shard as an Arrow table; NaN in a number becomes null. ``seconds`` is a point's share."""
    form = schema(probes)
    parameters = [point.to_dict() for point in points]
    columns = []
    for field in form:
        if field.name == "point_id":
            values: list[Any] = ids
        elif field.name in PARAMETERS:
            values = [one[field.name] for one in parameters]
        elif field.name == "seconds":
            values = [seconds] * len(points)
        else:
            values = [row.get(field.name) for row in rows]
        columns.append(_column(values, field.type))
    return pa.Table.from_arrays(columns, schema=form)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        return _list_column(values, kind)
    if pa.types.is_floating(kind):
        numbers = np.array([np.nan if value is None else value for value in values], np.float64)
        return pa.array(numbers, kind, mask=np.isnan(numbers))
    return pa.array([value.item() if isinstance(value, np.generic) else value for value in values], kind)


def _list_column(values: list[Any], kind: pa.ListType) -> pa.Array:
    """Lists of different lengths, or none, from arrays; without a Python object a number."""
    present = np.array([value is not None for value in values], np.bool_)
    sizes = [0 if value is None else len(value) for value in values]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    arrays = [value for value in values if value is not None]
    flat = pa.array(np.concatenate(arrays) if arrays else np.zeros(0), kind.value_type, safe=False)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind, mask=pa.array(~present))


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """What made a file, for its footer: kernel, schema and package versions, CPU and BLAS kernel."""
    blas = [lib for lib in threadpool_info() if lib.get("user_api") == "blas"]
    return {
        "kernel_version": str(KERNEL_VERSION),
        "schema_version": str(SCHEMA_VERSION),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
        "cpu": _cpu(),
        "blas": "; ".join(
            f"{b.get('internal_api')} {b.get('version')} {b.get('architecture', '')}".strip() for b in blas
        ),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def write(rows: pa.Table, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a record file; where a whole file of that name is already there, it stays. Raises OSError."""
    footer = {f"longlag.{key}": value for key, value in (provenance() | dict(metadata)).items()}
    aside = path.parent / f".{path.stem}.{uuid.uuid4().hex}.tmp"
    try:
        with open(aside, "xb") as file:
            pq.write_table(
                rows.replace_schema_metadata(footer), file, compression="zstd", use_dictionary=False
            )
            file.flush()
            os.fsync(file.fileno())
        _publish(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _publish(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except FileExistsError:
        try:
            verify(path)
        except BadFile:
            os.replace(aside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Rows of a record file. Raises BadFile where it is missing, truncated or not a record file."""
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            wanted = None if columns is None else [c for c in columns if c in there]
            return file.read(columns=wanted)
    except (OSError, pa.ArrowException) as problem:
        raise BadFile(f"{path}: {_first_line(problem)}; 'longlag check' lists what is wrong") from None


def verify(path: Path) -> dict[str, Any]:
    """Footer, rows, size and SHA-256 of a record file, read in whole. Raises BadFile."""
    rows = read(path)
    footer = {k.decode(): v.decode() for k, v in (rows.schema.metadata or {}).items()}
    found = {k.removeprefix("longlag."): v for k, v in footer.items() if k.startswith("longlag.")}
    if "shard_id" not in found:
        raise BadFile(f"{path}: a Parquet file, but not one of longlag's records; move it elsewhere")
    return {**found, "rows": rows.num_rows, "size": path.stat().st_size, "sha256": digest(path)}


def digest(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(problem: BaseException) -> str:
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
