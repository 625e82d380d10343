"""The tables of legal holds, of the events that outlived their day for one, and of what was erased of these."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, LargeBinary, String, Table, Text, Uuid, func

from lotpro_audit.db import METADATA

#: What is held: an organisation's events, if given only of a store, only about a person, only of a time.
HOLDS = Table(
    "holds",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("store_id", Uuid),
    Column("person_id", Uuid),
    Column("since", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True)),
    Column("reason", String(500), nullable=False),
    Column("authority", String(200), nullable=False),
    Column("placed_by", Uuid, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    #: When the hold ends by itself; none ends without a day or a release.
    Column("ends_at", DateTime(timezone=True)),
    Column("released_by", Uuid),
    Column("released_at", DateTime(timezone=True)),
    #: The oldest day that the log still had when the hold was placed: what was gone by then cannot come back.
    Column("first_day", Date, nullable=False),
    #: How many days of the hold's time had gone by then.
    Column("days_gone", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

#: Rows of the log as they were, with the proof that they were in it: the path from the leaf to a signed checkpoint.
HELD_EVENTS = Table(
    "held_events",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("org_seq", BigInteger, nullable=False),
    Column("org_id", Uuid),
    Column("store_id", Uuid),
    Column("actor_id", Uuid),
    Column("subject_id", Uuid),
    Column("concerned_id", Uuid),
    Column("leaf", LargeBinary, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("expired_day", Date, nullable=False),
    Column("kept_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

#: Held events that were erased: the runs of their `seq`. The leaf that says so is left for the log with the row, and
#: kept beside it (`seq`, `leaf`) once it is written.
ERASURES = Table(
    "erasures",
    METADATA,
    Column("event_id", Uuid, primary_key=True),
    Column("runs", LargeBinary, nullable=False),
    Column("seq", BigInteger),
    Column("leaf", LargeBinary),
)
