"""Legal holds that are placed and released, the register of disclosures, and what looks like an attack, found fast."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import lotpro_policy
from lotpro_kit import migrations

revision = "0002"
down_revision = "0001"

_ACTIVE = "(h.released_at IS NULL OR h.released_at > now()) AND (h.ends_at IS NULL OR h.ends_at > now())"
#: Whether hold `h` reaches event `e` now, by the database's clock: what the service's jobs do is held to this.
_REACHES = (
    _ACTIVE
    + " AND h.org_id = {e}.org_id AND (h.store_id IS NULL OR h.store_id = {e}.store_id)"
    " AND (h.person_id IS NULL OR h.person_id IN ({e}.actor_id, {e}.subject_id, {e}.concerned_id))"
    " AND (h.since IS NULL OR {e}.occurred_at >= h.since) AND (h.until IS NULL OR {e}.occurred_at < h.until)"
)

#: The triggers ask about every tenant's holds, whoever's transaction they run in, and then make it that one's again.
_KEEP_HELD = f"""
CREATE FUNCTION audit_keep_held() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE scope text := public.lotpro_scope(); held boolean;
BEGIN
    IF TG_OP <> 'DELETE' THEN
        RAISE EXCEPTION 'the security log is written once';
    END IF;
    PERFORM set_config('lotpro.scope', 'retention', true);
    held := EXISTS (SELECT FROM public.holds h WHERE {_REACHES.format(e="old")});
    PERFORM set_config('lotpro.scope', scope, true);
    IF held THEN
        RAISE EXCEPTION 'a legal hold reaches the event';
    END IF;
    RETURN old;
END $$
"""

#: A key is needed by whom a hold names, and by events that a hold reaches: their own acts, or their organisation's.
_NEEDS_KEY = (
    "SELECT FROM public.{table} e, public.holds h"
    " WHERE (e.actor_id = old.subject_id OR e.actor_id IS NULL AND e.org_id = old.subject_id) AND "
    + _REACHES.format(e="e")
)
_KEEP_HELD_KEYS = f"""
CREATE FUNCTION audit_keep_held_keys() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE scope text := public.lotpro_scope(); held boolean := false;
BEGIN
    PERFORM set_config('lotpro.scope', 'retention', true);
    IF EXISTS (SELECT FROM public.holds h WHERE {_ACTIVE}) THEN
        held := EXISTS (SELECT FROM public.holds h WHERE h.person_id = old.subject_id AND {_ACTIVE})
            OR EXISTS ({_NEEDS_KEY.format(table="held_events")})
            OR EXISTS ({_NEEDS_KEY.format(table="events")});
    END IF;
    PERFORM set_config('lotpro.scope', scope, true);
    IF held THEN
        RAISE EXCEPTION 'a legal hold needs the key';
    END IF;
    RETURN old;
END $$
"""  # noqa: S608 - our own constants

#: A hold changes once, when it is released, and goes when its time (lotpro_policy: legal_records) is over.
_KEEP_HOLDS = """
CREATE FUNCTION audit_keep_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF public.lotpro_scope() = 'retention'
        AND least(old.released_at, old.ends_at) < now() - interval '{months} months' THEN
            RETURN old;
        END IF;
        RAISE EXCEPTION 'the hold is still to be kept';
    END IF;
    IF TG_OP = 'UPDATE' AND old.released_at IS NULL
    AND (new.id, new.org_id, new.store_id, new.person_id, new.since, new.until, new.reason, new.authority,
        new.placed_by, new.placed_at, new.ends_at, new.first_day, new.days_gone)
    IS NOT DISTINCT FROM (old.id, old.org_id, old.store_id, old.person_id, old.since, old.until, old.reason,
        old.authority, old.placed_by, old.placed_at, old.ends_at, old.first_day, old.days_gone) THEN
        RETURN new;
    END IF;
    RAISE EXCEPTION 'a hold is only released';
END $$
"""

_KEEP_DISCLOSURES = """
CREATE FUNCTION audit_keep_disclosures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND public.lotpro_scope() = 'retention'
    AND old.recorded_at < now() - interval '{months} months' THEN
        RETURN old;
    END IF;
    RAISE EXCEPTION 'disclosures are written once';
END $$
"""

#: What looks like an attack is little; an index of that alone answers for a whole organisation in milliseconds.
_SUSPICIOUS = (
    "(action = 'identity:session:create' AND NOT success) OR action IN ('identity:account:lock',"
    " 'identity:session:refresh_reuse', 'identity:session:suspicious', 'identity:device:trust')"
)
#: A sign-in that failed at its second factor says so in its leaf.
_MFA_FAILED = (
    "action = 'identity:session:create' AND NOT success"
    " AND position('\"factor\"\\:\"password\"'::bytea IN leaf) = 0 AND position('\"factor\"\\:\"'::bytea IN leaf) > 0"
)


def upgrade() -> None:
    months = lotpro_policy.policy().retention["legal_records"].period.months
    _change_holds(months)
    _create_disclosures(months)
    op.execute(
        sa.text(
            "CREATE INDEX ix_events_suspicious ON events (org_id, occurred_at)"
            f" INCLUDE (store_id, actor_id, ip_index, action, success) WHERE {_SUSPICIOUS}"
        )
    )
    op.execute(
        sa.text(
            "CREATE INDEX ix_events_mfa_failed ON events (org_id, occurred_at)"
            f" INCLUDE (store_id, actor_id) WHERE {_MFA_FAILED}"
        )
    )


def _change_holds(months: int) -> None:
    op.add_column("holds", sa.Column("first_day", sa.Date, nullable=False))
    op.add_column("holds", sa.Column("days_gone", sa.Integer, nullable=False))
    op.add_column("holds", sa.Column("version", sa.Integer, nullable=False))
    op.create_index(None, "holds", ["org_id", "id"])
    op.create_index(None, "holds", ["person_id"])
    op.execute(sa.text("REVOKE UPDATE ON holds FROM audit_app"))
    op.execute(sa.text("GRANT UPDATE (released_by, released_at, version), DELETE ON holds TO audit_app"))
    _guard("holds", _KEEP_HOLDS.format(months=months), "audit_keep_holds", "UPDATE OR DELETE")
    _guard("held_events", _KEEP_HELD, "audit_keep_held", "UPDATE OR DELETE")
    _guard("data_keys", _KEEP_HELD_KEYS, "audit_keep_held_keys", "DELETE")
    # An organisation sees what is kept of it; only retention lets it go.
    op.execute(
        sa.text(
            "CREATE POLICY only_retention_deletes ON held_events AS RESTRICTIVE FOR DELETE"
            " USING ((SELECT lotpro_scope()) = 'retention')"
        )
    )
    op.create_index(None, "held_events", ["subject_id"])
    op.create_index(None, "held_events", ["concerned_id"])


def _create_disclosures(months: int) -> None:
    op.create_table(
        "disclosures",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("requester", sa.String(200), nullable=False),
        sa.Column("authority", sa.String(200), nullable=False),
        sa.Column("legal_basis", sa.String(200), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_id", sa.Uuid),
        sa.Column("filter", postgresql.JSONB, nullable=False),
        sa.Column("event_count", sa.BigInteger, nullable=False),
        sa.Column("export_sha256", sa.LargeBinary, nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_by", sa.Uuid, nullable=False),
        sa.Column("person_told", sa.Boolean, nullable=False),
        sa.Column("untold_reason", sa.String(500)),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid, nullable=False),
        sa.CheckConstraint("person_told = (untold_reason IS NULL)", name="told_or_a_reason"),
        sa.CheckConstraint("length(export_sha256) = 32", name="a_digest"),
        sa.CheckConstraint("event_count >= 0 AND received_at <= given_at", name="possible"),
    )
    op.create_index(None, "disclosures", ["org_id", "id"])
    migrations.grant(op, "audit", "disclosures", "SELECT", "INSERT", "DELETE")
    migrations.isolate(op, "disclosures", f"{migrations.ORGANISATION} OR (SELECT lotpro_scope()) = 'retention'")
    _guard("disclosures", _KEEP_DISCLOSURES.format(months=months), "audit_keep_disclosures", "UPDATE OR DELETE")


def _guard(table: str, function: str, name: str, events: str) -> None:
    """Have the database itself refuse, whoever asks."""
    op.execute(sa.text(function))
    op.execute(
        sa.text(f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    )
    if table != "data_keys":
        op.execute(
            sa.text(f"CREATE TRIGGER {name}_all BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_refuse()")
        )
