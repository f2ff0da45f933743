"""What a writer does when it opens the index: the newest schema, every measure's column, indexes, the views.

Several processes may open a new database at once: one of them does the work, the others wait and find it done.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Index, inspect, text
from sqlalchemy.exc import DBAPIError

from . import migrations, models
from .database import PATIENCE_SECONDS, Database, missing
from .errors import DatabaseUnavailable

READER = "longlag_reader"
"""PostgreSQL's role for ``Index.sql``: it may read the tables of the index and nothing else."""

_VERSIONS = "alembic_version"
_LOCK = 0x6C6F6E676C6167  # "longlag"


def prepare(database: Database) -> list[str]:
    """See that the database can be used, and return the columns of ``measures`` that it has.

    A writable one is made, or brought up to date, first; a read-only one is never changed. Raises NotFound
    where there is nothing to read, DatabaseUnavailable where the schema is not ours or is newer.
    """
    if database.file:
        _prepare_file(database, database.file)
    version, columns = database.read(_state)
    if database.writable:
        if version != models.SCHEMA or _lacking(columns) or database.read(_lacking_indexes):
            database.write(lambda connection: _migrate(database, connection))
            version, columns = database.read(_state)
    elif version is None:
        raise missing(database)
    if version != models.SCHEMA:
        raise _unknown(database, version)
    return columns


def _prepare_file(database: Database, file: Path) -> None:
    if not database.writable:
        if not file.is_file() or file.stat().st_size == 0:
            raise missing(database)
        return
    if not file.parent.is_dir():
        raise DatabaseUnavailable(
            f"the database {file}: there is no folder {file.parent}; make it, or give another (--db)"
        )
    _use_wal(database)


def _use_wal(database: Database) -> None:
    """Let readers read while one writes. The mode stays with the file; changing it does not wait by itself."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with database.engine.connect() as connection:
                raw = connection.connection.cursor()
                raw.execute("pragma journal_mode")
                if raw.fetchone() != ("wal",):
                    raw.execute("pragma journal_mode = wal")
                raw.close()
            return
        except sqlite3.Error as problem:
            if "locked" not in str(problem) or time.monotonic() > deadline:
                raise database.unavailable(problem) from problem
        except DBAPIError as problem:
            raise database.unavailable(problem) from problem
        time.sleep(0.05)


def _state(connection: Connection) -> tuple[str | None, list[str]]:
    """The version of the schema, None where there is none, and the columns of ``measures``."""
    inspector = inspect(connection)
    if not inspector.has_table(_VERSIONS):
        return None, []
    version = connection.execute(text(f"select version_num from {_VERSIONS}")).scalar()
    if version is None or not inspector.has_table("measures"):
        return version, []
    return version, [column["name"] for column in inspector.get_columns("measures")]


def _lacking(columns: list[str]) -> list[Column[Any]]:
    have = {name.lower() for name in columns}
    return [column for column in models.measures.columns if column.name.lower() not in have]


def _lacking_indexes(connection: Connection) -> list[Index]:
    """Indexes over the columns of ``measures``, which are made as those are."""
    have = {index["name"] for index in inspect(connection).get_indexes("measures")}
    return [index for index in models.measures.indexes if index.name not in have]


def _migrate(database: Database, connection: Connection) -> None:
    """Everything in one transaction; what another process has done meanwhile is not done again."""
    if database.dialect == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    version, _ = _state(connection)
    if version is None and (
        taken := set(inspect(connection).get_table_names()) & set(models.metadata.tables)
    ):
        raise DatabaseUnavailable(
            f"the database {database.name} has tables of another program ({', '.join(sorted(taken))}): "
            "give another one (--db, LONGLAG_DB)"
        )
    if version != models.SCHEMA:
        _upgrade(database, connection, version)
    _, columns = _state(connection)
    for column in _lacking(columns):
        kind = column.type.compile(connection.dialect)
        connection.execute(text(f"alter table measures add column {column.name} {kind}"))
        columns.append(column.name)
    for index in _lacking_indexes(connection):
        index.create(connection)
    _make_views(connection, columns)
    if database.dialect == "postgresql":
        _make_reader(connection)


def _upgrade(database: Database, connection: Connection, version: str | None) -> None:
    """Alembic's work, with its files from this package wherever it is installed."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = str(Path(migrations.__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise _unknown(database, version)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _make_views(connection: Connection, columns: list[str]) -> None:
    for name, query in models.views(columns).items():
        if connection.dialect.name == "sqlite":
            connection.execute(text(f"drop view if exists {name}"))
            connection.execute(text(f"create view {name} as {query}"))
        else:  # new columns come last, so that PostgreSQL can keep the view, its grants and what is built on it
            connection.execute(text(f"create or replace view {name} as {query}"))


def _make_reader(connection: Connection) -> None:
    """Make the role that only reads the index; without the right to make roles, do without."""
    tables = ", ".join([*models.metadata.tables, *models.views([])])
    try:
        with connection.begin_nested():
            if not connection.execute(
                text("select 1 from pg_roles where rolname = :r"), {"r": READER}
            ).scalar():
                connection.execute(text(f"create role {READER} nologin"))
            schema = connection.dialect.identifier_preparer.quote(
                str(connection.execute(text("select current_schema()")).scalar())
            )
            connection.execute(text(f"grant usage on schema {schema} to {READER}"))
            connection.execute(text(f"grant select on {tables} to {READER}"))
            connection.execute(text(f"grant {READER} to current_user"))
    except DBAPIError:
        return


def _unknown(database: Database, version: str | None) -> DatabaseUnavailable:
    """The schema is not one of ours: a newer longlag's, or one that only a writer may bring up to date."""
    if version is not None and version < models.SCHEMA:
        return DatabaseUnavailable(
            f"the database {database.name} has schema {version}, this longlag reads {models.SCHEMA}: "
            "a command that writes ('longlag run', 'longlag reindex') brings it up to date"
        )
    return DatabaseUnavailable(
        f"the database {database.name} has schema {version}, which is newer than {models.SCHEMA}, the newest that "
        "this longlag knows: upgrade longlag, or give another database (--db, LONGLAG_DB)"
    )
