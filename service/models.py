"""The tables and views of the index, with their columns' types.

    studies 1─n revisions 1─n points n─1 measures n─1 shards        jobs n─1 revisions

``measures`` has one row a run (a finished point): parameters, status and every measure that is not a list, each
in a column of its own type. For every probe, ``shard_<probe>`` names the file that holds the probe's columns for
the point; null: the probe is not there. So a point and a probe are there once, by construction. A row of status
``error`` has every ``shard_<probe>`` null, and the next result takes its place.

Alembic makes and changes the tables (``migrations/``), but for the columns of ``measures``: those come from the
registries of parameters and probes, and a writer adds the ones that are lacking (``database``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

from ..workers.points import PARAMETERS
from ..workers.probes import PROBES, scalar_columns

SCHEMA = "0001"
"""The newest migration: what Alembic's version table says in an index of this longlag."""

ACTIVE = ("queued", "running")
"""States of a job that is not over; there is at most one such job a study."""


class Moment(TypeDecorator[datetime]):
    """A time in UTC: ``timestamptz`` in PostgreSQL, ``2026-11-23 14:01:18.250`` in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return None if value is None else value.astimezone(UTC)


_Id = BigInteger().with_variant(Integer(), "sqlite")
_TYPES: dict[str, TypeEngine[Any]] = {
    "string": Text(),
    "float64": Double(),
    "int64": BigInteger(),
    "bool": Boolean(),
}
_OF_PYTHON = {str: "string", float: "float64", int: "int64"}

metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("created", Moment, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study", Text, ForeignKey("studies.name"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("toml", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("probes", Text, nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("study", "revision"),
)

points = Table(
    "points",
    metadata,
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), primary_key=True),
    Column("point_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

shards = Table(
    "shards",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("shard_id", Text, nullable=False, unique=True),
    Column("file", Text, nullable=False, unique=True),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("committed", Moment, nullable=False),
    Column("removed", Moment),
)
"""``removed``: nothing in the index needs the file any more, and it is about to be deleted."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study", Text, nullable=False),
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", Text),
    Column("lease_until", Moment, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("message", Text),
    Column("created", Moment, nullable=False),
    Column("started", Moment),
    Column("finished", Moment),
    Column("log", Text),
)
Index(
    "one_active_job",
    jobs.c.study,
    unique=True,
    sqlite_where=text("state in ('queued', 'running')"),
    postgresql_where=text("state in ('queued', 'running')"),
)


def _measures() -> list[Column[Any]]:
    # never quoted: "ln_grad_norm_U" is the same column however people write it, in PostgreSQL too
    parameters = [Column(p.name, _TYPES[_OF_PYTHON[p.type]], quote=False) for p in PARAMETERS.values()]
    values = [Column(c.name, _TYPES[c.type], quote=False) for c in scalar_columns()]
    files = [Column(f"shard_{probe}", BigInteger, quote=False) for probe in PROBES]
    return [*parameters, *values, Column("seconds", Double), *files]


measures = Table("measures", metadata, Column("point_id", Text, primary_key=True), *_measures())
Index(
    "runs_by_cell",
    *(measures.c[n] for n in ("cell", "gamma", "length", "status", "point_id")),
    *(measures.c[n] for n in ("half_life", "horizon_10", "horizon_1")),
)
"""What is asked most of many runs is answered by this alone: groups by cell, gamma and length, and the runs of one
cell, gamma and length with the largest or smallest horizons. Made by a writer, as the columns are."""


def views(columns: list[str]) -> dict[str, str]:
    """The views' queries over these columns of ``measures``."""
    listed = ", ".join(f"m.{name}" for name in columns)
    newest = "(select study, max(revision) as revision from revisions group by study)"
    return {
        "runs": f"select {listed} from measures m",
        "study_runs": "select r.study as study, r.revision as revision, r.revision = n.revision as current, "
        f"{listed} from revisions r join {newest} n on n.study = r.study "
        "join points p on p.revision_id = r.id join measures m on m.point_id = p.point_id",
    }
