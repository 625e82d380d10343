"""Tables of accounts and of guesses against them."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, LargeBinary, String, Table, Uuid, func

from lotpro_identity.db import METADATA

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("phone", LargeBinary),
    Column("locale", String(35), nullable=False, server_default="en-US"),
    Column("job_title", LargeBinary),
    Column("department", LargeBinary),
    Column("position", LargeBinary),
    Column("time_zone", String(64)),
    Column("picture_id", Uuid, ForeignKey("picture_blobs.id")),
    Column("password_hash", String(255), nullable=False),
    Column("email_confirmed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("version", BigInteger, nullable=False, server_default="1"),
    #: The password was set by a link from the mailbox, and nothing else but it was shown since.
    Column("password_mailed_at", DateTime(timezone=True)),
    #: Grows whenever what the person may do changes; access tokens carry it.
    Column("reset_required_at", DateTime(timezone=True)),
    Column("access_version", BigInteger, nullable=False, server_default="1"),
    Column("status", String(16), nullable=False, server_default="active"),
    #: When the person last signed in or stayed signed in; behind by ACTIVITY_NOTED at most.
    Column("last_active_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    #: A closing account is deleted from this moment on.
    Column("delete_after", DateTime(timezone=True)),
    #: When it was anonymised or deleted.
    Column("ended_at", DateTime(timezone=True)),
)

#: How often something was tried in a window; the key is a digest, so the table names nobody.
ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("window_started_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("count", Integer, nullable=False),
)
