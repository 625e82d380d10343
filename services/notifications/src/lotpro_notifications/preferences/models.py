"""The table of preferences; who never chose has no row."""

from dataclasses import fields

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Table, Uuid

from lotpro_notifications.db import METADATA
from lotpro_notifications.preferences.domain import Preferences

PREFERENCES = Table(
    "preferences",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("sms_alerts", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

#: The columns of `Preferences`, in its order.
COLUMNS = tuple(PREFERENCES.c[field.name] for field in fields(Preferences))
