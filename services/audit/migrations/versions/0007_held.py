"""The log says what is held of a day that went, and what of that was erased since; exports mark what is held."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0007"
down_revision = "0006"

#: A row is written with what it says; the leaf that says so comes beside it, once.
_SAID_ONCE = """
CREATE FUNCTION audit_said_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND old.seq IS NULL
    AND to_jsonb(new) - 'seq' - 'leaf' = to_jsonb(old) - 'seq' - 'leaf' THEN
        RETURN new;
    END IF;
    RAISE EXCEPTION 'the security log is written once';
END $$
"""


def upgrade() -> None:
    op.execute(sa.text(_SAID_ONCE))
    for table in ("expiries", "export_chunks"):
        # No runs, as they are kept: what there is so far says nothing of held events.
        op.add_column(
            table,
            sa.Column("held", sa.LargeBinary, nullable=False, server_default=sa.text("'\\x789c030000000001'::bytea")),
        )
        op.alter_column(table, "held", server_default=None)
    op.create_table(
        "erasures",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("runs", sa.LargeBinary, nullable=False),
        sa.Column("seq", sa.BigInteger),
        sa.Column("leaf", sa.LargeBinary),
    )
    migrations.grant(op, "audit", "erasures", "SELECT", "INSERT")
    op.execute(sa.text("DROP TRIGGER written_once ON expiries"))
    op.execute(
        sa.text("CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON erasures EXECUTE FUNCTION audit_refuse()")
    )
    for table in ("expiries", "erasures"):
        op.execute(
            sa.text(
                f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
                " EXECUTE FUNCTION audit_said_once()"
            )
        )
        op.execute(sa.text(f"GRANT UPDATE (seq, leaf) ON {table} TO audit_app"))
    for column in ("seq", "leaf"):
        op.alter_column("expiries", column, nullable=True)
