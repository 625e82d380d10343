"""The security log with its daily tables, and the plumbing."""

import sqlalchemy as sa
from alembic import op

from lotpro_audit.db import METADATA
from lotpro_kit import migrations

revision = "0001"
down_revision = None

#: Days are made and dropped by functions of the owner: the app role may neither create nor drop tables.
_MAKE_DAY = """
CREATE FUNCTION audit_make_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    IF to_regclass('public.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE format(
            'CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON %I EXECUTE FUNCTION audit_refuse()', name);
    END IF;
END $$
"""

_DROP_DAY = """
CREATE FUNCTION audit_drop_day(day date) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD'); held bigint;
BEGIN
    IF lotpro_scope() <> 'retention' THEN
        RAISE EXCEPTION 'only retention drops days';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    EXECUTE format('SELECT count(*) FROM events WHERE occurred_at >= %L AND occurred_at < %L',
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC') INTO held;
    EXECUTE format('ALTER TABLE events DETACH PARTITION %I', name);
    EXECUTE format('DROP TABLE %I', name);
    RETURN held;
END $$
"""

_DAYS = """
CREATE FUNCTION audit_days() RETURNS SETOF date LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events'::regclass
$$
"""

_REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the security log is written once';
END $$
"""


def upgrade() -> None:
    migrations.create_plumbing(op, "audit", METADATA)
    texts = {name: sa.String(size) for name, size in _TEXTS.items()}
    op.create_table(
        "events",
        sa.Column("occurred_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("success", sa.Boolean, nullable=False),
        sa.Column("org_id", sa.Uuid),
        sa.Column("store_id", sa.Uuid),
        *(sa.Column(name, kind, nullable=False) for name, kind in texts.items()),
        sa.Column("changed_fields", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("key_id", sa.Uuid, nullable=False),
        sa.Column("origin", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    for columns in (("org_id", "occurred_at", "id"), ("actor_id", "occurred_at"), ("subject_id",), ("concerned_id",)):
        op.create_index(None, "events", list(columns))
    migrations.grant(op, "audit", "events", "SELECT", "INSERT")
    migrations.isolate(
        op,
        "events",
        f"({migrations.STORE}) OR (actor_kind = 'user' AND actor_id = (SELECT lotpro_user())::text)"
        " OR (SELECT lotpro_scope()) = 'retention'",
        check="(SELECT lotpro_scope()) = 'ingest'",
    )
    for statement in (_REFUSE, _MAKE_DAY, _DROP_DAY, _DAYS):
        op.execute(sa.text(statement.replace(":", "\\:")))
    op.execute(
        sa.text(
            "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
        )
    )
    for function in ("audit_make_day(date)", "audit_drop_day(date)", "audit_days()"):
        op.execute(sa.text(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"))
        op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {function} TO audit_app"))


_TEXTS = {
    "action": 96, "actor_kind": 16, "actor_id": 64, "subject_kind": 32, "subject_id": 64, "concerned_kind": 32,
    "concerned_id": 64, "session_id": 64, "factor": 32, "request_id": 64, "trace_id": 32,
}
