"""Record files: one Parquet file a shard, one row a point, there whole or not at all.

A file is written aside, synced, and linked to its name without overwriting: of two deliveries of one shard the
first stays. The footer says which kernel, packages and machine made it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from .errors import BadFile
from .kernel import Part
from .many import Points
from .points import KERNEL_VERSION, PARAMETERS
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
    points: Points, ids: Sequence[str], parts: Sequence[Part], probes: Iterable[str], seconds: float
) -> pa.Table:
    """The rows of a shard as an Arrow table; NaN in a number becomes null. ``seconds`` is a point's share.

    Every point is in one part. No Python object is made a number.
    """
    form = schema(probes)
    places = [place for part in parts for place in part.places]
    assert sorted(places) == list(range(len(points)))
    measured = pa.concat_tables([_measures(part, form, seconds) for part in parts]) if parts else None
    if places != list(range(len(points))) and measured is not None:
        order = np.empty(len(places), np.int64)
        order[places] = np.arange(len(places))
        measured = measured.take(pa.array(order))
    columns = []
    for field in form:
        if field.name == "point_id":
            columns.append(pa.array(ids, field.type))
        elif field.name in PARAMETERS:
            columns.append(points.column(field.name, field.type))
        elif measured is None:
            columns.append(pa.nulls(0, field.type))
        else:
            columns.append(measured[field.name])
    return pa.Table.from_arrays(columns, schema=form)


def _measures(part: Part, form: pa.Schema, seconds: float) -> pa.Table:
    """The columns of a part that are neither parameters nor the id."""
    count = len(part.places)
    columns = part.columns | {"seconds": np.full(count, seconds)}
    fields = [field for field in form if field.name != "point_id" and field.name not in PARAMETERS]
    return pa.table(
        {field.name: _column(columns.get(field.name), count, field.type) for field in fields},
        schema=pa.schema(fields),
    )


def _column(values: Any, count: int, kind: pa.DataType) -> pa.Array:
    """``count`` values, in an array with the points in front or in a list; None: null throughout."""
    if values is None:
        return pa.nulls(count, kind)
    if pa.types.is_list(kind):
        return _list_column(np.asarray(values), kind)
    if pa.types.is_floating(kind):
        numbers = np.array(values, np.float64)  # None becomes NaN
        return pa.array(numbers, kind, mask=np.isnan(numbers))
    return pa.array(values, kind)


def _list_column(values: NDArray[Any], kind: pa.ListType) -> pa.Array:
    """A list a point, all of one length: values (P, n)."""
    count, length = values.shape
    offsets = (np.arange(count + 1) * length).astype(np.int32)
    flat = pa.array(np.ascontiguousarray(values).ravel(), kind.value_type, safe=False)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind)


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


def write(rows: pa.Table, path: Path, metadata: Mapping[str, str]) -> tuple[int, str]:
    """Write a record file; where a whole file of that name is already there, it stays. Raises OSError.

    Returns the size and the SHA-256 of the file that is there then.
    """
    footer = {f"longlag.{key}": value for key, value in (provenance() | dict(metadata)).items()}
    made = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(footer), made, compression="zstd", use_dictionary=False)
    content = made.getvalue()
    aside = path.parent / f".{path.stem}.{uuid.uuid4().hex}.tmp"
    try:
        with open(aside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not _publish(aside, path):
            return path.stat().st_size, digest(path)
    finally:
        aside.unlink(missing_ok=True)
    return content.size, hashlib.sha256(content).hexdigest()


def _publish(aside: Path, path: Path) -> bool:
    """Give a file its name; False where a whole file has it already."""
    ours = True
    try:
        os.link(aside, path)
    except FileExistsError:
        try:
            verify(path)
            ours = False
        except BadFile:
            os.replace(aside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return ours


_THREADS = 4096  # rows that are worth the threads that read them


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Rows of a record file. Raises BadFile where it is missing, truncated or not a record file."""
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            wanted = None if columns is None else [c for c in columns if c in there]
            return file.read(columns=wanted, use_threads=file.metadata.num_rows >= _THREADS)
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
