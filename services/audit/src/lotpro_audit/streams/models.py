"""The table of streams."""

from dataclasses import fields
from enum import StrEnum as Names

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Enum, Integer, LargeBinary, String, Table, Uuid

from lotpro_audit.db import METADATA
from lotpro_audit.streams.domain import Kind, PauseReason, State, Stream


def _text_of(kind: type[Names]) -> Enum:
    return Enum(kind, native_enum=False, length=16, values_callable=list)


STREAMS = Table(
    "streams",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False, index=True),
    Column("kind", _text_of(Kind), nullable=False),
    Column("name", String(80), nullable=False),
    Column("address", String(500), nullable=False),
    Column("personal", Boolean, nullable=False),
    Column("state", _text_of(State), nullable=False),
    Column("pause_reason", _text_of(PauseReason)),
    Column("secret", LargeBinary),
    Column("former_secret", LargeBinary),
    Column("former_until", DateTime(timezone=True)),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    #: Whose the batch on its way is, and until when.
    Column("lease", Uuid),
    Column("leased_until", DateTime(timezone=True)),
    Column("last_error", String(32)),
    Column("last_failed_at", DateTime(timezone=True)),
    Column("last_sent_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

#: The columns of `Stream`, in its order.
COLUMNS = tuple(STREAMS.c[field.name] for field in fields(Stream))
