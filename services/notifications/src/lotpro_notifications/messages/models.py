"""The table of messages: who gets what because of which event, never its content or an address."""

from dataclasses import fields

from sqlalchemy import Column, DateTime, Enum, Index, Integer, String, Table, UniqueConstraint, Uuid, text

from lotpro_notifications.db import METADATA
from lotpro_notifications.messages.domain import Channel, Kind, Lane, Message, State


def _text_of(kind: type[Channel] | type[Kind] | type[Lane] | type[State]) -> Enum:
    return Enum(kind, native_enum=False, length=32, values_callable=list)


MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # None for what is sent to a person who belongs to no organisation yet.
    Column("org_id", Uuid),
    Column("kind", _text_of(Kind), nullable=False),
    Column("lane", _text_of(Lane), nullable=False),
    # None until a code is revealed: only identity knows how it travels.
    Column("channel", _text_of(Channel)),
    # None for a person who has no account yet.
    Column("user_id", Uuid),
    # The challenge, sale or request that the message is about.
    Column("about_id", Uuid, nullable=False),
    Column("customer_id", Uuid),
    Column("source_event_id", Uuid, nullable=False),
    # Which of the messages that the event causes for this person.
    Column("part", String(32), nullable=False),
    Column("state", _text_of(State), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("leased_until", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("provider_id", String(128)),
    Column("reason", String(64)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("days_left", Integer),
    Column("event_count", Integer),
    # A repeated event cannot send anything twice.
    UniqueConstraint("source_event_id", "part", "user_id", postgresql_nulls_not_distinct=True),
    Index("ix_messages_due", "lane", "next_attempt_at", postgresql_where=text("state = 'queued'")),
    Index("ix_messages_leased", "leased_until", postgresql_where=text("state = 'sending'")),
    Index("ix_messages_org", "org_id", "id"),
    Index("ix_messages_user", "user_id"),
    Index("ix_messages_customer", "org_id", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
)


#: The columns of `Message`, in its order.
COLUMNS = tuple(MESSAGES.c[field.name] for field in fields(Message))
