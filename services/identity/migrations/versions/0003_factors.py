"""Factors of every kind in one table, trusted devices, passkey ceremonies; challenges go to other addresses."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0003"
down_revision = "0002"

_SIGNING_IN = "(SELECT lotpro_scope()) = 'authenticator'"
_MINE = "account_id = (SELECT lotpro_user())"


def upgrade() -> None:
    _extend()
    _create_factors()
    _create_devices()
    _move_totp()
    op.execute(_RESERVE_TRIES)


#: Counts a try under each key, in the keys' order, so that two tries never wait for each other crosswise. A try above a
#: limit, or before its time (1 s, 2 s, 4 s ... after `free` tries), is refused with the seconds to wait, uncounted.
#: `old` is the row as it was when its lock was got, so that of two tries at once the second one sees the first.
_RESERVE_TRIES = """
CREATE FUNCTION reserve_tries(
    keys bytea[], most integer[], slowed boolean[], moment timestamptz, span interval, free integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entry record;
    began timestamptz;
    before timestamptz;
    tries integer;
BEGIN
    FOR entry IN SELECT * FROM unnest(keys, most, slowed) AS given (key, most, slowed) ORDER BY 1 LOOP
        INSERT INTO attempts AS tried (key, window_started_at, last_at, count) VALUES (entry.key, moment, moment, 1)
        ON CONFLICT (key) DO UPDATE SET
            window_started_at = CASE WHEN tried.window_started_at <= moment - span THEN moment
                ELSE tried.window_started_at END,
            last_at = moment,
            count = CASE WHEN tried.window_started_at <= moment - span THEN 1 ELSE tried.count + 1 END
        RETURNING new.window_started_at, old.last_at, new.count INTO began, before, tries;
        IF tries > entry.most THEN
            RAISE EXCEPTION USING ERRCODE = 'LT429',
                MESSAGE = ceil(extract(epoch FROM began + span - moment))::integer::text;
        END IF;
        IF entry.slowed AND tries > free AND moment < before + make_interval(secs => 2 ^ (tries - free - 1)) THEN
            RAISE EXCEPTION USING ERRCODE = 'LT429', MESSAGE = (2 ^ (tries - free - 1))::integer::text;
        END IF;
    END LOOP;
END $$
"""


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _account(*, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(
        "account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=nullable
    )


def _extend() -> None:
    op.add_column("accounts", _moment("reset_required_at"))
    op.add_column("challenges", sa.Column("channel", sa.String(8), nullable=False, server_default="email"))
    op.add_column("challenges", sa.Column("address", sa.LargeBinary))
    op.add_column("challenges", sa.Column("topic", sa.String(32)))
    last = sa.Column("last_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    op.add_column("attempts", last)
    op.alter_column("attempts", "last_at", server_default=None)
    op.add_column("sessions", sa.Column("agent_index", sa.LargeBinary))
    op.add_column("sessions", sa.Column("network_index", sa.LargeBinary))


def _create_factors() -> None:
    op.create_table(
        "factors",
        sa.Column("id", sa.Uuid, primary_key=True),
        _account(),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("credential_id", sa.LargeBinary, unique=True),
        sa.Column("public_key", sa.LargeBinary),
        sa.Column("sign_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("backed_up", sa.Boolean, nullable=False, server_default="false"),
        _moment("confirmed_at"),
        _moment("last_used_at"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index(None, "factors", ["account_id"])
    op.create_table(
        "ceremonies",
        sa.Column("id", sa.Uuid, primary_key=True),
        _account(nullable=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        _moment("expires_at", nullable=False),
    )
    for table in ("factors", "ceremonies"):
        migrations.grant(op, "identity", table, "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "factors", f"{_MINE} OR {_SIGNING_IN}")
    migrations.isolate(op, "ceremonies", _SIGNING_IN)


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.Uuid, primary_key=True),
        _account(),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("user_agent", sa.LargeBinary, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        _moment("created_at", nullable=False),
        _moment("last_used_at", nullable=False),
        _moment("revoked_at"),
    )
    op.create_index(None, "devices", ["account_id"])
    migrations.grant(op, "identity", "devices", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "devices", f"{_MINE} OR {_SIGNING_IN}")


def _move_totp() -> None:
    """The owner sees no rows under forced row-level security, so it is lifted for the copy, in this transaction."""
    for table in ("totp_factors", "factors"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "INSERT INTO factors (id, account_id, kind, name, secret, last_step, confirmed_at, created_at)"
        " SELECT uuidv7(), account_id, 'totp', 'Authenticator app', seed, last_step, confirmed_at, created_at"
        " FROM totp_factors"
    )
    op.execute("ALTER TABLE factors FORCE ROW LEVEL SECURITY")
    op.drop_table("totp_factors")
