"""Exports of the log in encrypted chunks, and which of an organisation's events went with which day."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "expired_runs",
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
    )
    migrations.grant(op, "audit", "expired_runs", "SELECT", "INSERT")
    migrations.isolate(
        op, "expired_runs", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'",
        check="(SELECT lotpro_scope()) = 'retention'",
    )
    for name, moment in (
        ("written_once", "UPDATE OR DELETE ON expired_runs FOR EACH ROW"),
        ("written_once_truncate", "TRUNCATE ON expired_runs"),
    ):
        op.execute(sa.text(f"CREATE TRIGGER {name} BEFORE {moment} EXECUTE FUNCTION audit_refuse()"))
    _create_exports()


def _create_exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("opened_by", sa.Uuid, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("format", sa.String(8), nullable=False),
        sa.Column("filter", sa.LargeBinary),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("error", sa.String(64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True)),
        sa.Column("tree_size", sa.BigInteger),
        sa.Column("last_org_seq", sa.BigInteger),
        sa.Column("total", sa.BigInteger),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.LargeBinary),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leases", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.UniqueConstraint("org_id", "id"),
    )
    # One at a time in an organisation, whatever a worker thinks.
    op.execute(sa.text("CREATE UNIQUE INDEX ix_exports_running ON exports (org_id) WHERE state = 'running'"))
    op.execute(sa.text("CREATE INDEX ix_exports_due ON exports (leased_until) WHERE state IN ('waiting', 'running')"))
    op.create_index(None, "exports", ["expires_at"])
    migrations.grant(op, "audit", "exports", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(
        op, "exports", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) IN ('exports', 'retention')"
    )
    op.create_table(
        "export_chunks",
        sa.Column("export_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("runs", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "export_id"], ["exports.org_id", "exports.id"], ondelete="CASCADE"),
    )
    # It is compressed and encrypted already.
    op.execute(sa.text("ALTER TABLE export_chunks ALTER COLUMN content SET STORAGE EXTERNAL"))
    migrations.grant(op, "audit", "export_chunks", "SELECT", "INSERT", "DELETE")
    migrations.isolate(
        op, "export_chunks", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'"
    )
