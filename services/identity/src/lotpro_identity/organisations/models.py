"""Tables of organisations, stores, memberships and invitations."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
)

from lotpro_identity.db import METADATA

ORGANISATIONS = Table(
    "organisations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("version", BigInteger, nullable=False, server_default="1"),
    #: Since when it has no owner: the last one's account ended.
    Column("orphaned_at", DateTime(timezone=True)),
    #: Since when nobody but its owners is anything there.
    Column("suspended_at", DateTime(timezone=True)),
    #: Whether its people may use codes by SMS or e-mail as a second factor.
    Column("allow_sms_factor", Boolean, nullable=False, server_default="true"),
    Column("allow_email_factor", Boolean, nullable=False, server_default="true"),
)

STORES = Table(
    "stores",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, ForeignKey(ORGANISATIONS.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("version", BigInteger, nullable=False, server_default="1"),
    UniqueConstraint("id", "org_id"),
)

#: A role of a person in a store, or in the whole organisation where the store is empty.
MEMBERSHIPS = Table(
    "memberships",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("org_id", Uuid, ForeignKey(ORGANISATIONS.c.id, ondelete="CASCADE"), nullable=False),
    Column("store_id", Uuid),
    Column("role", String(32), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    #: Since when it gives nothing.
    Column("suspended_at", DateTime(timezone=True)),
    UniqueConstraint("account_id", "org_id", "store_id", "role", postgresql_nulls_not_distinct=True),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
)

INVITATIONS = Table(
    "invitations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, ForeignKey(ORGANISATIONS.c.id, ondelete="CASCADE"), nullable=False),
    Column("store_id", Uuid),
    Column("role", String(32), nullable=False),
    Column("email", String(254), nullable=False),
    Column("challenge_id", Uuid, nullable=False, unique=True),
    Column("invited_by", Uuid, nullable=False),
    Column("accepted_by", Uuid),
    Column("accepted_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
)
