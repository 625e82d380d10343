"""The tables of the tree: its state, its tiles, its signed checkpoints."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, LargeBinary, SmallInteger, Table, Text

from lotpro_audit.db import METADATA

#: One row. `epoch` counts the leaders: a deposed one cannot write.
TREE = Table(
    "tree",
    METADATA,
    Column("id", Boolean, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

TILES = Table(
    "tiles",
    METADATA,
    Column("level", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("hashes", LargeBinary, nullable=False),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True),
    Column("logged_at", DateTime(timezone=True), nullable=False),
    Column("note", Text, nullable=False),
)
