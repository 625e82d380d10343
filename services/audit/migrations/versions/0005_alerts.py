"""Alerts, streams to other systems, and usage counts."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Whoever follows an organisation's own sequence, at any distance, looks its numbers up.
    op.create_index(None, "events", ["org_id", "org_seq"])
    _create_alerts()
    _create_streams()
    _create_usage()


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("action", sa.String(96)),
        sa.Column("success", sa.Boolean),
        *(sa.Column(name, sa.Uuid) for name in ("actor_id", "subject_id", "store_id")),
        sa.Column("factor", sa.String(32)),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("per", sa.String(16), nullable=False),
        sa.Column("quiet_minutes", sa.Integer, nullable=False),
        sa.Column("recipients", sa.ARRAY(sa.String(32)), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("org_id", "id"),
    )
    migrations.grant(op, "audit", "alerts", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "alerts", migrations.ORGANISATION)
    op.create_table(
        "alert_positions",
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("org_seq", sa.BigInteger, nullable=False),
    )
    migrations.grant(op, "audit", "alert_positions", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "alert_positions", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'alerts'")
    op.create_table(
        "alert_windows",
        sa.Column("alert_id", sa.Uuid, primary_key=True),
        sa.Column("key", sa.String(36), primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("moments", sa.ARRAY(sa.BigInteger), nullable=False),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "alert_id"], ["alerts.org_id", "alerts.id"], ondelete="CASCADE"),
    )
    op.create_index(None, "alert_windows", ["newest_at"])
    migrations.grant(op, "audit", "alert_windows", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "alert_windows", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'")
    op.create_table(
        "raised_alerts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("alert_id", sa.Uuid, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "alert_id"], ["alerts.org_id", "alerts.id"], ondelete="CASCADE"),
    )
    op.create_index(None, "raised_alerts", ["alert_id", "seq"])
    op.create_index(None, "raised_alerts", ["raised_at"])
    migrations.grant(op, "audit", "raised_alerts", "SELECT", "INSERT", "DELETE")
    migrations.isolate(op, "raised_alerts", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'")


def _create_streams() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pause_reason", sa.String(16)),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("former_secret", sa.LargeBinary),
        sa.Column("former_until", sa.DateTime(timezone=True)),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.String(32)),
        sa.Column("last_failed_at", sa.DateTime(timezone=True)),
        sa.Column("last_sent_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(None, "streams", ["org_id"])
    migrations.grant(op, "audit", "streams", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "streams", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'streams'")


def _create_usage() -> None:
    op.create_table(
        "usage_objections",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("objected_at", sa.DateTime(timezone=True), nullable=False),
    )
    migrations.grant(op, "audit", "usage_objections", "SELECT", "INSERT", "DELETE")
    migrations.isolate(
        op, "usage_objections", "user_id = (SELECT lotpro_user()) OR (SELECT lotpro_scope()) = 'usage'"
    )
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
    )
    migrations.grant(op, "audit", "usage_days", "SELECT", "INSERT")
    op.create_table(
        "usage_counts",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("feature", sa.String(64), primary_key=True),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
    )
    migrations.grant(op, "audit", "usage_counts", "SELECT", "INSERT")
    # Counting sees page views of every organisation, and nothing else of the log.
    op.execute(
        sa.text(
            "CREATE POLICY usage ON events FOR SELECT"
            " USING ((SELECT lotpro_scope()) = 'usage' AND action = 'audit\\:page\\:view')"
        )
    )
