"""The connection to the index's database, SQLite or PostgreSQL: how it is opened, read and written.

A piece of work is a function of a connection; ``read`` and ``write`` run it in one transaction. ``write`` runs it
again where the database says that another process was in the way, so the work has to be repeatable. Whatever
the database cannot do becomes DatabaseUnavailable, in one line.
"""

from __future__ import annotations

import random
import sqlite3
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Double,
    Engine,
    create_engine,
    event,
    func,
    literal,
    literal_column,
    make_url,
    type_coerce,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.sql import ColumnElement

from .errors import DatabaseUnavailable, NotFound
from .models import Moment

T = TypeVar("T")

CONNECT_SECONDS = 5
"""So long a PostgreSQL server may take to answer."""
PATIENCE_SECONDS = 120.0
"""So long a writer waits for other writers before it gives up."""
_BUSY_SECONDS = 20.0
_LOST_RACE = ("40001", "40P01", "55P03")
"""PostgreSQL's codes of a transaction that another one has stopped: serialisation, deadlock, lock timeout."""


class Database:
    """One database by URL. ``writable`` False: the connection itself cannot write, nor make a missing file."""

    def __init__(self, url: str, writable: bool) -> None:
        self.url = parse_url(url)
        self.dialect = self.url.get_backend_name()
        self.writable = writable
        self.engine = _sqlite_engine(self) if self.dialect == "sqlite" else _postgresql_engine(self)
        self._dispose = weakref.finalize(self, self.engine.dispose)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def close(self) -> None:
        """Close every connection; done by itself when the object goes."""
        self._dispose()

    @property
    def name(self) -> str:
        """The database as people know it: the file, or the URL without the password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """SQLite's file."""
        return Path(str(self.url.database)) if self.dialect == "sqlite" else None

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that only reads, in one transaction: it sees one state of the database."""
        return self._settled(lambda: self._run(work, write=False))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run repeatable work in one transaction, again where another process was in the way."""
        if not self.writable:
            raise DatabaseUnavailable(
                f"the database {self.name} is open for reading only: open it with write=True"
            )
        return self._run(work, write=True)

    def read_only_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work on a connection of its own to SQLite's file, which can only read."""

        def attempt() -> T:
            with closing(
                sqlite3.connect(_read_only_uri(self.file), uri=True, timeout=_BUSY_SECONDS)
            ) as connection:
                return work(connection)

        return self._settled(attempt)

    def _settled(self, attempt: Callable[[], T]) -> T:
        """Read again where SQLite's file was opened as immutable, and has changed: see ``_read_only_uri``."""
        while self.file and not _wal(self.file).exists():
            before = _stamp(self.file)
            try:
                result = attempt()
            except (DatabaseUnavailable, sqlite3.DatabaseError):
                if before == _stamp(self.file):
                    raise
            else:
                if before == _stamp(self.file):
                    return result
        return attempt()

    def _run(self, work: Callable[[Connection], T], write: bool) -> T:
        deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.05
        while True:
            try:
                with (
                    self.engine.connect().execution_options(longlag_write=write) as connection,
                    connection.begin(),
                ):
                    return work(connection)
            except DBAPIError as problem:
                if not _passing(problem) or time.monotonic() > deadline:
                    trouble = self.unavailable(problem)
                    if trouble is problem:
                        raise
                    raise trouble from problem
            time.sleep(pause * random.random())
            pause = min(2 * pause, 2.0)

    def unavailable(self, problem: Exception) -> Exception:
        """The database's complaint as an error of ours; a mistake in our own SQL stays what it is."""
        if (trouble := self.trouble(problem)) is not None:
            return trouble
        kinds = {kind.__name__ for kind in type(getattr(problem, "orig", None) or problem).__mro__}
        return self._complaint(problem, None) if kinds & {"OperationalError", "InterfaceError"} else problem

    def trouble(self, problem: Exception) -> DatabaseUnavailable | None:
        """The same where it is certain, by its words, that the database and not the SQL is in trouble."""
        words = str(getattr(problem, "orig", None) or problem)
        remedies = _SQLITE_REMEDIES if self.dialect == "sqlite" else _POSTGRESQL_REMEDIES
        remedy = next((do for sign, do in remedies.items() if sign in words), None)
        return (
            None
            if remedy is None or isinstance(problem, IntegrityError)
            else self._complaint(problem, remedy)
        )

    def _complaint(self, problem: Exception, remedy: str | None) -> DatabaseUnavailable:
        words = " ".join(str(getattr(problem, "orig", None) or problem).split())
        shown = words if len(words) < 300 else f"{words[:300]}…"
        return DatabaseUnavailable(f"the database {self.name}: {shown}{f'; {remedy}' if remedy else ''}")


_ANEW = "move that file away and run 'longlag reindex': it makes a new one from the records"
_SQLITE_REMEDIES = {
    "is not a database": _ANEW,
    "disk image is malformed": _ANEW,
    "disk is full": "free some space and run the same command again: what is committed is kept",
    "database is locked": "another process has been writing for minutes; look at 'longlag jobs' and try again",
    "readonly database": "no permission to write; give another one (--db, LONGLAG_DB) or change its permissions",
    "unable to open database file": "see that its folder is there and can be written, or give another (--db)",
    "disk I/O error": "see that its disk is there and has space",
}
_ADDRESS = "that --db (LONGLAG_DB) has its address"
_POSTGRESQL_REMEDIES = {
    "Connection refused": f"see that the server runs and {_ADDRESS}",
    "No such file or directory": f"see that the server runs and {_ADDRESS}",
    "timeout expired": f"see that the server can be reached and {_ADDRESS}",
    "could not translate host name": f"see {_ADDRESS}",
    "failed to resolve host": f"see {_ADDRESS}",
    "authentication failed": "see that --db (LONGLAG_DB) has the right user and password",
    "no password supplied": "see that --db (LONGLAG_DB) has the right user and password",
    "does not exist": "make it first, or give another one (--db, LONGLAG_DB)",
    "permission denied": "ask the database's owner for the right to write in its schema",
    "No space left on device": "free some space on the server and run the same command again",
}


def parse_url(text: str) -> URL:
    """An SQLAlchemy URL of a kind that is supported, with its driver; SQLite's path made absolute."""
    allowed = "give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        url = make_url(text)
    except ArgumentError:
        raise DatabaseUnavailable(f"db = {text!r} is no database URL: {allowed}") from None
    kind = url.drivername.split("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise DatabaseUnavailable(f"db = {url.render_as_string()!r}: {kind} is not supported; {allowed}")
    if url.database in (None, "", ":memory:"):
        raise DatabaseUnavailable(
            f"db = {text!r}: the index has to be a file, which drivers share; {allowed}"
        )
    return url.set(drivername="sqlite", database=str(Path(url.database or "").expanduser().absolute()))


def missing(database: Database) -> NotFound:
    """What a reader says where there is no index."""
    return NotFound(
        f"there is no index at {database.name}: run a study first ('longlag run STUDY.toml'), or say where it is "
        "(--data, --db)"
    )


def moment(connection: Connection, after: float = 0.0) -> ColumnElement[Any]:
    """So many seconds from now by the database's own clock, the one that all its clients share."""
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d %H:%M:%f", "now", f"{after:+.3f} seconds", type_=Moment)
    seconds = literal(float(after), Double) * literal_column("interval '1 second'")
    return type_coerce(func.clock_timestamp().op("+")(seconds), Moment)


def _passing(problem: DBAPIError) -> bool:
    """Whether another process was in the way, so that the same work can succeed a moment later."""
    if getattr(problem.orig, "sqlstate", None) in _LOST_RACE:
        return True
    return isinstance(problem.orig, sqlite3.OperationalError) and "locked" in str(problem.orig)


# ---- SQLite


def _sqlite_engine(database: Database) -> Engine:
    def connect() -> sqlite3.Connection:
        uri = _file_uri(database.file, "rwc") if database.writable else _read_only_uri(database.file)
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma cache_size = -65536")  # KiB: the keys of a million points
        connection.execute("pragma wal_autocheckpoint = 8000")
        return connection

    # readers decide anew each time how to open the file: see _read_only_uri
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool if database.writable else NullPool
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # SQLite would start with a read lock, and a writer that then finds another before it cannot wait
        write = connection.get_execution_options().get("longlag_write")
        connection.exec_driver_sql("begin immediate" if write else "begin")

    return engine


def _file_uri(file: Path | None, mode: str) -> str:
    return f"file:{quote(str(file))}?mode={mode}"


def _read_only_uri(file: Path | None) -> str:
    """How to open a file so that nothing beside it is made or changed.

    A WAL database that nobody has open has no ``-wal`` beside it, and an ordinary reader would make one. Then
    it is opened as immutable; should a writer have come meanwhile and changed it, ``_settled`` reads once more.
    """
    assert file is not None
    return _file_uri(file, "ro") + ("" if _wal(file).exists() else "&immutable=1")


def _wal(file: Path) -> Path:
    return Path(f"{file}-wal")


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


# ---- PostgreSQL


def _postgresql_engine(database: Database) -> Engine:
    given = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "longlag",
        "prepare_threshold": None,  # poolers such as PgBouncer do not keep prepared statements
    }
    arguments = {name: value for name, value in given.items() if name not in database.url.query}
    engine = create_engine(database.url, connect_args=arguments, pool_size=2, pool_pre_ping=True)
    if not database.writable:

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            connection.read_only = True

    return engine
