"""Accounts, challenges, organisations, factors, sessions, and the plumbing."""

import sqlalchemy as sa
from alembic import op

from lotpro_identity.db import METADATA
from lotpro_kit import migrations

revision = "0001"
down_revision = None

_SIGNING_IN = "(SELECT lotpro_scope()) = 'authenticator'"
_ASKED = "(SELECT lotpro_scope()) = 'directory'"
_MINE = "account_id = (SELECT lotpro_user())"
_OUR = "org_id = (SELECT lotpro_org())"


def upgrade() -> None:
    migrations.create_plumbing(op, "identity", METADATA)
    _create_accounts()
    _create_organisations()
    _create_challenges()
    _create_factors()
    _create_sessions()
    _isolate()


def _moment(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable, server_default=sa.func.now() if now else None
    )


def _account(*, primary_key: bool = False, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(
        "account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=primary_key,
        nullable=nullable,
    )


def _organisation() -> sa.Column[object]:
    return sa.Column("org_id", sa.Uuid, sa.ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False)


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("phone", sa.LargeBinary),
        sa.Column("locale", sa.String(35), nullable=False, server_default="en-US"),
        sa.Column("password_hash", sa.String(255), nullable=False),
        _moment("email_confirmed_at"),
        _moment("created_at", nullable=False, now=True),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    )
    migrations.grant(op, "identity", "accounts", "SELECT", "INSERT", "UPDATE")
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        _moment("window_started_at", nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    migrations.grant(op, "identity", "attempts", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_organisations() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        _moment("created_at", nullable=False, now=True),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    )
    op.create_table(
        "stores",
        sa.Column("id", sa.Uuid, primary_key=True),
        _organisation(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        _moment("created_at", nullable=False, now=True),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        sa.UniqueConstraint("id", "org_id"),
    )
    op.create_table(
        "memberships",
        sa.Column("id", sa.Uuid, primary_key=True),
        _account(),
        _organisation(),
        sa.Column("store_id", sa.Uuid),
        sa.Column("role", sa.String(32), nullable=False),
        _moment("created_at", nullable=False, now=True),
        sa.UniqueConstraint("account_id", "org_id", "store_id", "role", postgresql_nulls_not_distinct=True),
        # A store role can only be held in a store of the same organisation; null stores are not checked.
        sa.ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    )
    op.create_index(None, "memberships", ["org_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid, primary_key=True),
        _organisation(),
        sa.Column("store_id", sa.Uuid),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("challenge_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("invited_by", sa.Uuid, nullable=False),
        sa.Column("accepted_by", sa.Uuid),
        _moment("accepted_at"),
        _moment("created_at", nullable=False, now=True),
        sa.ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    )
    op.create_index(None, "invitations", ["org_id", "email"])
    for table in ("organisations", "stores", "memberships"):
        migrations.grant(op, "identity", table, "SELECT", "INSERT")
    migrations.grant(op, "identity", "invitations", "SELECT", "INSERT", "UPDATE")


def _create_challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("purpose", sa.String(32), nullable=False),
        _account(nullable=True),
        sa.Column("org_id", sa.Uuid),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        _moment("used_at"),
        _moment("replaced_at"),
    )
    op.create_index(None, "challenges", ["account_id", "purpose"])
    migrations.grant(op, "identity", "challenges", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_factors() -> None:
    op.create_table(
        "totp_factors",
        _account(primary_key=True),
        sa.Column("seed", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
        _moment("confirmed_at"),
        _moment("created_at", nullable=False, now=True),
    )
    migrations.grant(op, "identity", "totp_factors", "SELECT", "INSERT", "UPDATE")
    op.create_table(
        "recovery_codes",
        _account(primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _moment("used_at"),
    )
    migrations.grant(op, "identity", "recovery_codes", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        _account(),
        sa.Column("aal", sa.String(8), nullable=False),
        sa.Column("amr", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.LargeBinary),
        sa.Column("ip", sa.LargeBinary),
        _moment("created_at", nullable=False),
        _moment("last_used_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("revoked_at"),
    )
    op.create_index(None, "sessions", ["account_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("session_id", sa.Uuid, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        _moment("created_at", nullable=False),
        _moment("used_at"),
    )
    op.create_index(None, "refresh_tokens", ["session_id"])
    for table in ("sessions", "refresh_tokens"):
        migrations.grant(op, "identity", table, "SELECT", "INSERT", "UPDATE")


def _isolate() -> None:
    colleague = (
        "EXISTS (SELECT 1 FROM memberships m"
        " WHERE m.account_id = accounts.id AND m.org_id = (SELECT lotpro_org()))"
    )
    own = "id = (SELECT lotpro_user())"
    migrations.isolate(
        op, "accounts", f"{own} OR {_SIGNING_IN} OR {_ASKED} OR {colleague}", check=f"{own} OR {_SIGNING_IN}"
    )
    migrations.isolate(op, "organisations", f"id = (SELECT lotpro_org()) OR {_SIGNING_IN}")
    migrations.isolate(op, "stores", f"{_OUR} OR {_SIGNING_IN}")
    migrations.isolate(op, "memberships", f"{_OUR} OR {_MINE} OR {_SIGNING_IN}", check=f"{_OUR} OR {_SIGNING_IN}")
    migrations.isolate(op, "invitations", f"{_OUR} OR {_SIGNING_IN}")
    migrations.isolate(op, "challenges", f"{_OUR} OR {_SIGNING_IN} OR {_ASKED}", check=f"{_OUR} OR {_SIGNING_IN}")
    migrations.isolate(op, "totp_factors", f"{_MINE} OR {_SIGNING_IN}")
    migrations.isolate(op, "recovery_codes", f"{_MINE} OR {_SIGNING_IN}")
    migrations.isolate(op, "sessions", f"{_MINE} OR {_SIGNING_IN} OR {_ASKED}", check=f"{_MINE} OR {_SIGNING_IN}")
    migrations.isolate(op, "refresh_tokens", _SIGNING_IN)
