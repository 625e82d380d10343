"""The security log with its daily tables, the tree over it, and the plumbing."""

import sqlalchemy as sa
from alembic import op

import lotpro_policy
from lotpro_audit.db import METADATA
from lotpro_kit import migrations

revision = "0001"
down_revision = None

#: Days are made and dropped by functions of the owner: the app role may neither create nor drop tables.
#: Attaching an empty table takes a weaker lock than CREATE TABLE ... PARTITION OF does: nobody waits for it. Events are
#: copied straight into the day's table, which the app role may write but not read.
_MAKE_DAY = """
CREATE FUNCTION audit_make_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    IF to_regclass('public.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE public.%I (LIKE public.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format(
            'CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON public.%I EXECUTE FUNCTION public.audit_refuse()',
            name);
        EXECUTE format('GRANT INSERT ON public.%I TO audit_app', name);
        EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$
"""

#: The period is the policy's (retention.security_logs); were it to change, a migration has to say so here as well.
#: Before a day with events can go, the log must say that it went: its expiry stands in `expiries`.
_DROP_DAY = """
CREATE FUNCTION audit_drop_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD'); filled boolean;
BEGIN
    IF public.lotpro_scope() <> 'retention' THEN
        RAISE EXCEPTION 'only retention drops days';
    END IF;
    IF (day + 1)::timestamp AT TIME ZONE 'UTC' > now() - make_interval(days => {days}) THEN
        RAISE EXCEPTION 'the day is still to be kept';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    IF to_regclass('public.' || name) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
    IF filled AND NOT EXISTS (SELECT FROM public.expiries e WHERE e.day = audit_drop_day.day) THEN
        RAISE EXCEPTION 'the log does not say yet that the day went';
    END IF;
    EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', name);
    EXECUTE format('DROP TABLE public.%I', name);
END $$
"""

_DAYS = """
CREATE FUNCTION audit_days() RETURNS SETOF date LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.events'::regclass
$$
"""

_REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the security log is written once';
END $$
"""

#: Each with the fewest bytes a row that answers in milliseconds: equal values share an entry, and a day is small.
_INDEXES = """
CREATE INDEX ix_events_org_id_occurred_at ON events (org_id, occurred_at);
CREATE INDEX ix_events_actor_id ON events (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX ix_events_subject_id ON events (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX ix_events_concerned_id ON events (concerned_id) WHERE concerned_id IS NOT NULL;
CREATE INDEX ix_events_session_id ON events (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX ix_events_ip_index ON events (ip_index) WHERE ip_index IS NOT NULL;
CREATE INDEX ix_events_store_id ON events (store_id) WHERE store_id IS NOT NULL;
CREATE INDEX ix_events_org_id_action ON events (org_id, action);
CREATE INDEX ix_events_seq ON events (seq)
"""


def upgrade() -> None:
    migrations.create_plumbing(op, "audit", METADATA)
    _create_log()
    _create_tree()
    _create_holds()
    _keep_days()


def _create_log() -> None:
    op.create_table(
        "events",
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("org_seq", sa.BigInteger, nullable=False),
        sa.Column("org_id", sa.Uuid),
        sa.Column("store_id", sa.Uuid),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("subject_id", sa.Uuid),
        sa.Column("concerned_id", sa.Uuid),
        sa.Column("session_id", sa.Uuid),
        sa.Column("ip_index", sa.LargeBinary),
        sa.Column("success", sa.Boolean, nullable=False),
        sa.Column("action", sa.String(96), nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    for statement in _INDEXES.split(";"):
        op.execute(sa.text(statement))
    migrations.grant(op, "audit", "events", "SELECT")
    migrations.isolate(
        op,
        "events",
        f"({migrations.STORE}) OR actor_id = (SELECT lotpro_user())"
        " OR (SELECT lotpro_scope()) IN ('retention', 'verification')",
        check="false",
    )
    op.create_table(
        "claims",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
    )
    migrations.grant(op, "audit", "claims", "SELECT", "INSERT", "DELETE")
    op.create_table(
        "intake",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    migrations.grant(op, "audit", "intake", "SELECT", "INSERT", "DELETE")


def _create_tree() -> None:
    op.create_table(
        "tree",
        sa.Column("id", sa.Boolean, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
    )
    op.execute(sa.text("INSERT INTO tree VALUES (true, 0, '', 0)"))
    migrations.grant(op, "audit", "tree", "SELECT", "UPDATE")
    op.create_table(
        "tiles",
        sa.Column("level", sa.SmallInteger, primary_key=True),
        sa.Column("index", sa.BigInteger, primary_key=True),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.execute(sa.text("ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL"))
    migrations.grant(op, "audit", "tiles", "SELECT", "INSERT", "UPDATE")
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger, primary_key=True),
        sa.Column("logged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    migrations.grant(op, "audit", "checkpoints", "SELECT", "INSERT")
    op.create_table(
        "org_heads", sa.Column("org_id", sa.Uuid, primary_key=True), sa.Column("last", sa.BigInteger, nullable=False)
    )
    migrations.grant(op, "audit", "org_heads", "SELECT", "INSERT", "UPDATE")


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Uuid) for name in ("store_id", "person_id")),
        *(sa.Column(name, sa.DateTime(timezone=True)) for name in ("since", "until")),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("authority", sa.String(200), nullable=False),
        sa.Column("placed_by", sa.Uuid, nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
        sa.Column("released_by", sa.Uuid),
        sa.Column("released_at", sa.DateTime(timezone=True)),
    )
    migrations.grant(op, "audit", "holds", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "holds", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'")
    op.create_table(
        "held_events",
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("org_seq", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Uuid) for name in ("org_id", "store_id", "actor_id", "subject_id", "concerned_id")),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("expired_day", sa.Date, nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index(None, "held_events", ["org_id", "occurred_at", "seq"])
    op.create_index(None, "held_events", ["actor_id"])
    migrations.grant(op, "audit", "held_events", "SELECT", "INSERT", "DELETE")
    migrations.isolate(
        op, "held_events",
        f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) IN ('retention', 'verification')",
        check="(SELECT lotpro_scope()) = 'retention'",
    )


def _keep_days() -> None:
    op.create_table(
        "expiries",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("runs", sa.LargeBinary, nullable=False),
    )
    migrations.grant(op, "audit", "expiries", "SELECT", "INSERT")
    days = lotpro_policy.policy().retention["security_logs"].duration.days
    for function in (_REFUSE, _MAKE_DAY, _DROP_DAY.format(days=days), _DAYS):
        op.execute(sa.text(function.replace(":", "\\:")))
    for table in ("events", "checkpoints", "expiries"):
        op.execute(
            sa.text(
                f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
                " EXECUTE FUNCTION audit_refuse()"
            )
        )
        op.execute(
            sa.text(
                f"CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_refuse()"
            )
        )
    for name in ("audit_make_day(date)", "audit_drop_day(date)", "audit_days()"):
        op.execute(sa.text(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC"))
        op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {name} TO audit_app"))
