"""The tables of exports: what was asked for and how far it is, and the file in encrypted chunks."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from lotpro_audit.db import METADATA

#: `filter` is what was asked for, encrypted under the export's own key. `version` counts changes of state only.
#: `leases` counts who worked on it, and only the last one may write; `tries` counts those since the last progress.
EXPORTS = Table(
    "exports",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("opened_by", Uuid, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("format", String(8), nullable=False),
    Column("filter", LargeBinary),
    Column("state", String(8), nullable=False),
    Column("version", Integer, nullable=False),
    Column("error", String(64), nullable=False),
    #: What it is of: the tree of this size, and the organisation's events up to this one.
    Column("begun_at", DateTime(timezone=True)),
    Column("tree_size", BigInteger),
    Column("last_org_seq", BigInteger),
    #: How many events there are to be, and are.
    Column("total", BigInteger),
    Column("events", BigInteger, nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("size", BigInteger),
    Column("sha256", LargeBinary),
    Column("leased_until", DateTime(timezone=True), nullable=False),
    Column("leases", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    UniqueConstraint("org_id", "id"),
)

#: Chunk 0 and the last one, the file's first and last lines, come at the very end. `last_seq` is where the next chunk
#: goes on, `runs` which of the organisation's numbers this one has, and `held` which of these only a legal hold keeps.
CHUNKS = Table(
    "export_chunks",
    METADATA,
    Column("export_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("runs", LargeBinary, nullable=False),
    Column("held", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(["org_id", "export_id"], ["exports.org_id", "exports.id"], ondelete="CASCADE"),
)
