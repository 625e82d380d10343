"""Sign-in with an organisation's own provider, and what its directory says about its people."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0070"
down_revision = "0055"

_SIGNING_IN = "(SELECT lotpro_scope()) = 'authenticator'"
_PROVISIONING = "(SELECT lotpro_scope()) = 'provisioning'"
_OUR = "org_id = (SELECT lotpro_org())"


def upgrade() -> None:
    _create_provisioning()
    _create_federation()
    _let_directories_work()


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _organisation(*, primary_key: bool = False) -> sa.Column[object]:
    return sa.Column(
        "org_id", sa.Uuid, sa.ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False,
        primary_key=primary_key,
    )


def _account() -> sa.Column[object]:
    return sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False)


def _create_provisioning() -> None:
    op.create_table(
        "scim_tokens",
        sa.Column("id", sa.Uuid, primary_key=True),
        _organisation(),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("last_used_at", nullable=True),
        _moment("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    )
    op.create_index(None, "scim_tokens", ["org_id"])
    op.create_table(
        "scim_users",
        sa.Column("id", sa.Uuid, primary_key=True),
        _organisation(),
        _account(),
        sa.Column("user_name", sa.String(254), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("external_id", sa.String(254)),
        sa.Column("given_name", sa.String(254)),
        sa.Column("family_name", sa.String(254)),
        sa.Column("formatted_name", sa.String(254)),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("managed", sa.Boolean, nullable=False),
        _moment("created_at"),
        _moment("changed_at"),
    )
    op.create_index(
        "uq_scim_users_user_name", "scim_users", ["org_id", sa.text("lower(user_name)")], unique=True
    )
    op.create_index("uq_scim_users_account", "scim_users", ["org_id", "account_id"], unique=True)
    op.create_index("ix_scim_users_external_id", "scim_users", ["org_id", "external_id"])
    op.create_index("ix_scim_users_account_id", "scim_users", ["account_id"])
    migrations.grant(op, "identity", "scim_tokens", "SELECT", "INSERT", "UPDATE (last_used_at, revoked_at)")
    migrations.grant(op, "identity", "scim_users", "SELECT", "INSERT", "UPDATE", "DELETE")
    # Signing in with a token, and erasing a person, are before and above organisations.
    for table in ("scim_tokens", "scim_users"):
        migrations.isolate(op, table, f"{_OUR} OR {_SIGNING_IN}")


def _create_federation() -> None:
    op.create_table(
        "federations",
        _organisation(primary_key=True),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("client_secret", sa.LargeBinary, nullable=False),
        sa.Column("jit_role", sa.String(32)),
        sa.Column("jit_store_id", sa.Uuid),
        sa.Column("honour_mfa", sa.Boolean, nullable=False),
        sa.Column("mfa_acr_values", sa.String(1024), nullable=False, server_default=""),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        _moment("created_at"),
        _moment("changed_at"),
        sa.ForeignKeyConstraint(["jit_store_id", "org_id"], ["stores.id", "stores.org_id"]),
    )
    op.create_table(
        "federation_domains",
        _organisation(primary_key=True),
        sa.Column("domain", sa.String(253), primary_key=True),
        sa.Column("token", sa.String(64), nullable=False),
        _moment("created_at"),
        _moment("verified_at", nullable=True),
    )
    # A domain is proven by one organisation at most; anybody may begin to.
    op.create_index(
        "uq_federation_domains_verified", "federation_domains", ["domain"], unique=True,
        postgresql_where=sa.text("verified_at IS NOT NULL"),
    )
    op.create_table(
        "federated_identities",
        sa.Column("id", sa.Uuid, primary_key=True),
        _organisation(),
        _account(),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        _moment("created_at"),
        _moment("last_used_at"),
        sa.UniqueConstraint("org_id", "issuer", "subject"),
        sa.UniqueConstraint("org_id", "issuer", "account_id"),
    )
    op.create_index("ix_federated_identities_account_id", "federated_identities", ["account_id"])
    op.create_table(
        "sso_states",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _organisation(),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("browser_digest", sa.LargeBinary, nullable=False),
        sa.Column("nonce_digest", sa.LargeBinary, nullable=False),
        sa.Column("verifier", sa.LargeBinary, nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        _moment("expires_at"),
    )
    op.create_index("ix_sso_states_expires_at", "sso_states", ["expires_at"])
    for table in ("federations", "federation_domains", "federated_identities"):
        migrations.grant(op, "identity", table, "SELECT", "INSERT", "UPDATE", "DELETE")
        migrations.isolate(op, table, f"{_OUR} OR {_SIGNING_IN}")
    migrations.grant(op, "identity", "sso_states", "SELECT", "INSERT", "DELETE")
    migrations.isolate(op, "sso_states", _SIGNING_IN)


def _let_directories_work() -> None:
    # A directory's people may have an account with lotPro already, and belong to others too: both must be known before
    # anything is done to them. What it may write stays in its organisation, but for the account itself.
    op.execute(f"CREATE POLICY provisioning ON accounts USING ({_PROVISIONING}) WITH CHECK ({_PROVISIONING})")
    op.execute(f"CREATE POLICY provisioning ON memberships FOR SELECT USING ({_PROVISIONING})")
