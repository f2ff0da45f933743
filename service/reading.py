"""SQL of people: one SELECT, which can read the index and do nothing else, with a time limit and a row cap.

What stops the rest, so that no one layer has to be perfect:

- SQLite: a read-only connection of its own, and an authorizer that allows SELECT, reading columns and functions
  and denies every other action as the statement is compiled (ATTACH, PRAGMA, temporary tables, all writes).
- PostgreSQL: a read-only transaction on a connection of its own, closed afterwards. The text runs as
  ``DECLARE … CURSOR FOR <text>`` by the extended protocol, which takes one statement, and that has to be a query
  that changes no data; so no COMMIT, SET, COPY, DO or EXPLAIN can be said in it. What functions could do is left:
  none is run that PostgreSQL calls volatile (``set_config``, ``nextval``, ``pg_read_file``, ``lo_export``,
  ``dblink``, ``pg_terminate_backend``, ``query_to_xml``; every function that does not promise otherwise), but for
  a few that are harmless. Where the role can be had it runs as ``longlag_reader``, which sees this index only.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import psycopg
from sqlalchemy import BigInteger, Boolean, Double, Text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from .database import Database
from .errors import QueryRefused, first_line, hint
from .frames import frame
from .migrate import READER
from .models import metadata, views

TIMEOUT_SECONDS = 60.0
MAX_ROWS = 1_000_000

_VIEWS = tuple(views([]))
_NAMES = {
    column.name.lower(): column.name for table in metadata.tables.values() for column in table.columns
} | {"current": "current"}
_FLAGS = {
    column.name
    for table in metadata.tables.values()
    for column in table.columns
    if isinstance(column.type, Boolean)
} | {"current"}


def run(database: Database, query: str, timeout: float, max_rows: int) -> pd.DataFrame:
    """The rows of one SELECT. Raises QueryRefused, in one line, for anything else or anything too long."""
    _check_start(query)
    if not timeout > 0 or max_rows < 1:
        raise QueryRefused(f"timeout = {timeout!r}, max_rows = {max_rows!r}: give more than zero")
    ask = _sqlite if database.dialect == "sqlite" else _postgresql
    names, rows, types = ask(database, query, timeout, max_rows)
    if len(rows) > max_rows:
        raise QueryRefused(
            f"the query gives more than {max_rows:,} rows: add a LIMIT or a GROUP BY, or allow more "
            "(max_rows=, --max-rows)"
        )
    return frame([_NAMES.get(name, name) for name in names], rows, types)


Answer = tuple[list[str], list[Any], Sequence[TypeEngine[Any] | None]]

_TOKEN = re.compile(r"--[^\n\r]*|'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"|/\*.*?\*/|.", re.DOTALL)


def _check_start(query: str) -> None:
    """A first look, for a helpful answer; what keeps the index safe is below."""
    if "\0" in query:
        raise QueryRefused("the query is refused: it has a NUL character")
    rest = re.sub(r"^(\s|\(|--[^\n]*(\n|$)|/\*.*?\*/)*", "", query, flags=re.DOTALL)
    word = re.match(r"\w*", rest)
    first = word.group().lower() if word else ""
    if first not in ("select", "with", "values"):
        given = f"{first.upper()} is refused" if first else "there is no statement"
        raise QueryRefused(f"{given}: a query is one SELECT (or WITH … SELECT), and it only reads")


def _too_slow(timeout: float) -> QueryRefused:
    return QueryRefused(
        f"the query took more than {timeout:g} s and was stopped: make it ask for less, or give it more time "
        "(timeout=, --timeout)"
    )


def _refused(message: str) -> QueryRefused:
    """What the database says against the text, with the nearest names where a name is wrong."""
    text = " ".join(message.split())
    if "one statement" in text or "multiple commands" in text:
        return QueryRefused("the query is refused: give one statement, not several")
    column = re.search(r"no such column: \"?([\w.]+)|column \"?([\w.]+)\"? does not exist", text)
    table = re.search(r"no such table: \"?([\w.]+)|relation \"([\w.]+)\" does not exist", text)
    if column or table:
        found = column or table
        name = next(group for group in found.groups() if group).split(".")[-1] if found else ""
        known: Iterable[str] = _NAMES.values() if column else (*metadata.tables, *_VIEWS)
        tables = f"tables and views are {', '.join((*_VIEWS, *metadata.tables))}"
        otherwise = "select * from study_runs limit 1 shows the columns" if column else tables
        return QueryRefused(f"{text}: {hint(name, known, otherwise)}")
    return QueryRefused(f"the query is refused: {text}")


# ---- SQLite

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_LARGEST_VALUE = 100_000_000


def _authorize(action: int, _one: str | None, two: str | None, _base: str | None, _inner: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and two == "load_extension"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _sqlite(database: Database, query: str, timeout: float, max_rows: int) -> Answer:
    deadline = time.monotonic() + timeout

    def ask(connection: sqlite3.Connection) -> tuple[list[str], list[Any]]:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        connection.set_authorizer(_authorize)
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return names, cursor.fetchmany(max_rows + 1)

    try:
        names, rows = database.read_only_file(ask)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as problem:
        text = first_line(problem)
        if text == "interrupted":
            raise _too_slow(timeout) from None
        if "not authorized" in text or "prohibited" in text:
            raise QueryRefused(f"the query is refused: it may only read ({text})") from None
        raise database.trouble(problem) or _refused(text) from None
    flags = [_is_flag(name, rows, i) for i, name in enumerate(names)]
    return names, rows, [Boolean() if flag else None for flag in flags]


def _is_flag(name: str, rows: Sequence[Any], i: int) -> bool:
    """SQLite keeps true and false as 1 and 0: a column with the name of a flag that has nothing else is one."""
    return name in _FLAGS and all(row[i] in (0, 1, None) for row in rows)


# ---- PostgreSQL

_HARMLESS = {"random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7"}
_OIDS: dict[int, TypeEngine[Any]] = {
    16: Boolean(),
    **dict.fromkeys((20, 21, 23), BigInteger()),
    **dict.fromkeys((700, 701), Double()),
    **dict.fromkeys((25, 1042, 1043), Text()),
}


def _postgresql(database: Database, query: str, timeout: float, max_rows: int) -> Answer:
    try:
        connection = database.engine.connect()
    except DBAPIError as problem:
        raise database.unavailable(problem) from problem
    connection.detach()  # nothing that the text may do to the session can reach another user of the pool
    raw: Any = connection.connection.dbapi_connection
    try:
        raw.read_only = True
        with raw.cursor() as cursor:
            _confine(cursor, timeout)
            _refuse_volatile(cursor, query)
            _become_reader(cursor)
        with raw.cursor(name="longlag_query") as cursor:
            cursor.execute(query)
            rows = cursor.fetchmany(max_rows + 1)
            columns = cursor.description or ()
            return [c.name for c in columns], rows, [_OIDS.get(c.type_code) for c in columns]
    except QueryRefused:
        raise
    except psycopg.errors.QueryCanceled:
        raise _too_slow(timeout) from None
    except psycopg.errors.ReadOnlySqlTransaction as problem:
        raise QueryRefused(f"the query is refused: it may only read ({first_line(problem)})") from None
    except (psycopg.Error, ValueError) as problem:
        if getattr(problem, "sqlstate", None) or isinstance(problem, psycopg.ProgrammingError | ValueError):
            diagnosis = getattr(problem, "diag", None)
            raise _refused(getattr(diagnosis, "message_primary", None) or first_line(problem)) from None
        raise database.unavailable(problem) from problem
    finally:
        connection.close()


def _confine(cursor: Any, timeout: float) -> None:
    """Limits for this transaction, and names looked up in the index's schema only."""
    cursor.execute(
        "select set_config('statement_timeout', %s, true), set_config('lock_timeout', '5s', true), "
        "set_config('search_path', quote_ident(current_schema()), true)",
        (f"{max(1, round(timeout * 1000))}ms",),
    )


def _refuse_volatile(cursor: Any, query: str) -> None:
    """Refuse a text with a word that is the name of a volatile function, unless that is known to be harmless."""
    if re.search(r"u&['\"]", query, re.IGNORECASE):
        raise QueryRefused("the query is refused: write names and texts without U& escapes")
    exact = not re.search(r"\\|\$|/\*", query)  # else what is text and what is not is PostgreSQL's secret
    parts = _TOKEN.findall(query) if exact else [query]
    code = "".join(" " if part[0] == "'" or part[:2] == "--" else part for part in parts)
    words = {word[:63].lower() for word in re.findall(r"[^\W\d]\w*", code)} - _HARMLESS
    cursor.execute(
        "select proname from pg_catalog.pg_proc where provolatile = 'v' and proname = any(%s) order by 1 limit 1",
        (sorted(words),),
    )
    if found := cursor.fetchone():
        raise QueryRefused(
            f"the query is refused: it may only read, and {found[0]} is a function that may do something else"
        )


def _become_reader(cursor: Any) -> None:
    cursor.execute("savepoint before_role")
    try:
        cursor.execute(f"set local role {READER}")
    except psycopg.Error:  # there is no such role here, or it is not ours to take
        cursor.execute("rollback to savepoint before_role")
