"""Subscriptions, entitlements, webhooks, the ledger, and the plumbing."""

import sqlalchemy as sa
from alembic import op

from lotpro_billing.app import SERVICE
from lotpro_kit import migrations

revision = "0001"
down_revision = None

#: An organisation sees its own; billing's work with Stripe begins with an id of Stripe's and not with a tenant.
_OWN = "org_id = (SELECT lotpro_org()) OR (SELECT lotpro_scope()) = 'billing'"
_INTERNAL = "(SELECT lotpro_scope()) = 'billing'"

#: The policy's billing_records: 7 years. Until then nobody removes an entry, and nobody ever changes one.
_KEEP = """
CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.issued_at < now() - interval '7 years' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
END $$
"""


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("source_event_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stripe_customer_id", sa.String(64)),
        sa.Column("stripe_subscription_id", sa.String(64)),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        _time("trial_ends_at", nullable=True),
        _time("period_ends_at", nullable=True),
        sa.Column("cancel_at_period_end", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _time("next_attempt_at"),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("org_id"),
        sa.UniqueConstraint("stripe_customer_id"),
        sa.UniqueConstraint("stripe_subscription_id"),
    )
    op.create_index(
        "ix_subscriptions_pending", "subscriptions", ["next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    migrations.grant(op, "billing", "subscriptions", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "subscriptions", _OWN)


def _entitlements() -> None:
    op.create_table(
        "entitlements",
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("stores_limit", sa.Integer, nullable=False),
        _time("valid_until", nullable=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("updated_at"),
    )
    migrations.grant(op, "billing", "entitlements", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "entitlements", _OWN)


def _webhook_events() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("object_id", sa.String(255), nullable=False),
        sa.Column("subscription_id", sa.String(255), nullable=False),
        sa.Column("customer_id", sa.String(255), nullable=False),
        sa.Column("org_id", sa.Uuid),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        _time("next_attempt_at"),
        _time("occurred_at"),
        _time("received_at"),
        _time("processed_at", nullable=True),
        sa.PrimaryKeyConstraint("provider", "event_id"),
    )
    op.create_index(
        "ix_webhook_events_due", "webhook_events", ["next_attempt_at"], postgresql_where=sa.text("state = 'stored'")
    )
    migrations.grant(op, "billing", "webhook_events", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "webhook_events", _INTERNAL)


def _ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("stripe_invoice_id", sa.String(255), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("amount_due", sa.BigInteger, nullable=False),
        sa.Column("amount_paid", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        _time("period_starts_at"),
        _time("period_ends_at"),
        _time("issued_at"),
        _time("recorded_at"),
        sa.UniqueConstraint("stripe_invoice_id", "status", "amount_due", "amount_paid"),
    )
    op.create_index("ix_ledger_entries_org", "ledger_entries", ["org_id", "id"])
    op.execute(sa.text(_KEEP))
    op.execute(
        sa.text(
            "CREATE TRIGGER keep_rows BEFORE UPDATE OR DELETE ON ledger_entries"
            " FOR EACH ROW EXECUTE FUNCTION keep_ledger()"
        )
    )
    op.execute(
        sa.text(
            "CREATE TRIGGER keep_table BEFORE TRUNCATE ON ledger_entries"
            " FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger()"
        )
    )
    migrations.grant(op, "billing", "ledger_entries", "SELECT", "INSERT")
    migrations.isolate(op, "ledger_entries", _OWN)


def upgrade() -> None:
    migrations.create_plumbing(op, "billing", SERVICE.metadata)
    _subscriptions()
    _entitlements()
    _webhook_events()
    _ledger_entries()
