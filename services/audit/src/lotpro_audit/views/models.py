"""The tables of usage: counts without any person, the days that were counted, and who objects."""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, String, Table, Uuid

from lotpro_audit.db import METADATA
from lotpro_audit.views.domain import Count

#: People whose page views are counted in nothing.
OBJECTIONS = Table(
    "usage_objections",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("objected_at", DateTime(timezone=True), nullable=False),
)

#: A day is counted once: two counts of one day would tell who objected in between.
DAYS = Table(
    "usage_days",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("counted_at", DateTime(timezone=True), nullable=False),
)

COUNTS = Table(
    "usage_counts",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("feature", String(64), primary_key=True),
    Column("people", Integer, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
)

#: The columns of `Count`, in its order.
COLUMNS = tuple(COUNTS.c[field.name] for field in fields(Count))
