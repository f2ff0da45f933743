"""Rows of the index as pandas frames: a type for every column, and what ``where`` may say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import BigInteger, Boolean, ColumnElement, DateTime, Double, Integer, Text, false, or_
from sqlalchemy.types import TypeEngine

from ..workers.points import PARAMETERS
from .errors import QueryRefused, hint
from .models import measures

RUN_COLUMNS = tuple(c.name for c in measures.columns if not c.name.startswith("shard_"))
"""What a run has, as people see it: point_id, parameters, status, measures, seconds."""


def frame(names: Sequence[str], rows: Sequence[Any], types: Sequence[TypeEngine[Any] | None]) -> pd.DataFrame:
    """A frame of rows: text as ``string``, numbers as ``float64`` and ``int64``, flags as ``boolean``.

    Whole numbers with nulls among them are ``Int64``. A column whose type is None is typed by its values. The
    second column of one name, as a join has it, is called ``name_2``.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    typed = (_typed(column, kind) for column, kind in zip(columns, types, strict=True))
    made = pd.DataFrame(dict(enumerate(typed)))
    made.columns = _distinct(names)
    return made


def _distinct(names: Sequence[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        own, count = name, 1
        while own in taken:
            count += 1
            own = f"{name}_{count}"
        taken[own] = None
    return list(taken)


def conditions(where: Mapping[str, Any] | None) -> list[ColumnElement[bool]]:
    """What ``where`` asks of the columns of a run. Raises QueryRefused for an unknown column."""
    return [_condition(name, value) for name, value in (where or {}).items()]


def _condition(name: str, value: Any) -> ColumnElement[bool]:
    if name not in RUN_COLUMNS:
        raise QueryRefused(f"where: a run has no column {name!r}; {hint(name, RUN_COLUMNS, _SOME)}")
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    values = [_checked(name, one) for one in (value if several else [value])]
    given = [one for one in values if one is not None]
    column = measures.c[name]
    return or_(column.in_(given) if given else false(), column.is_(None) if None in values else false())


_SOME = f"it has {', '.join(PARAMETERS)}, status and the measures"


def _checked(name: str, value: Any) -> Any:
    """One value of ``where``, of the column's type; a parameter's has to be one that it can have."""
    if value is None:
        return None
    if name in PARAMETERS:
        return PARAMETERS[name].check(value)
    kind = measures.c[name].type
    try:
        if isinstance(kind, Boolean):
            return {True: True, False: False}[value]
        return str(value) if isinstance(kind, Text) else float(value)
    except (TypeError, ValueError, KeyError):
        what = "true or false" if isinstance(kind, Boolean) else "a number"
        raise QueryRefused(f"where: {name} = {value!r}: give {what}, several, or None") from None


def _typed(values: Sequence[Any], kind: TypeEngine[Any] | None) -> Any:
    if kind is None:
        kind, values = _guess(values)
    if isinstance(kind, Double):
        return np.array(values, dtype=np.float64)
    if isinstance(kind, Boolean):
        return pd.array(values, dtype="boolean")
    if isinstance(kind, Integer):
        return pd.array(values, dtype="Int64") if None in values else np.array(values, dtype=np.int64)
    if isinstance(kind, DateTime):
        return pd.to_datetime(list(values), utc=True)
    return pd.array(values, dtype="string")


def _guess(values: Sequence[Any]) -> tuple[TypeEngine[Any], Sequence[Any]]:
    """A type that all values fit, and the values as that type takes them."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} and kinds:
        return Boolean(), values
    if (
        kinds <= {int, Decimal}
        and kinds
        and all(v is None or (v == int(v) and abs(v) < 2**63) for v in values)
    ):
        return BigInteger(), [None if v is None else int(v) for v in values]
    if kinds <= {int, float, Decimal}:
        return Double(), [None if v is None else float(v) for v in values]
    if kinds <= {datetime}:
        return DateTime(), values
    return Text(), [None if v is None else _as_text(v) for v in values]


def _is_whole(value: int | Decimal) -> bool:
    return abs(value) < 2**63 and value == int(value) if math.isfinite(value) else False


def _as_text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return json.dumps(value, default=str) if isinstance(value, list | dict | tuple) else str(value)
