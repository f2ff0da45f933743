"""The first schema: studies, revisions, points, shards, jobs, measures.

``measures`` has but its key here: every other column comes from the registries, and a writer adds it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
_ACTIVE = sa.text("state in ('queued', 'running')")


def upgrade() -> None:
    """Make every table."""
    _studies()
    _results()
    _jobs()


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("study", sa.Text, sa.ForeignKey("studies.name"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("toml", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("probes", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.UniqueConstraint("study", "revision"),
    )
    op.create_table(
        "points",
        sa.Column("revision_id", sa.BigInteger, sa.ForeignKey("revisions.id"), primary_key=True),
        sa.Column("point_id", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _results() -> None:
    op.create_table(
        "shards",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("shard_id", sa.Text, nullable=False, unique=True),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("committed", _MOMENT, nullable=False),
        sa.Column("removed", _MOMENT),
    )
    op.create_table("measures", sa.Column("point_id", sa.Text, primary_key=True))


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("study", sa.Text, nullable=False),
        sa.Column("revision_id", sa.BigInteger, sa.ForeignKey("revisions.id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", _MOMENT, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("started", _MOMENT),
        sa.Column("finished", _MOMENT),
        sa.Column("log", sa.Text),
    )
    op.create_index(
        "one_active_job",
        "jobs",
        ["study"],
        unique=True,
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )
