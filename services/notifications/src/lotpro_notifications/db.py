"""Notifications' metadata: the plumbing's tables here, each noun's own beside the noun."""

from pathlib import Path

from sqlalchemy import MetaData

from lotpro_kit import api, db, inbox, outbox

#: The room of this service, where its migrations and its data manifest are.
ROOM = Path(__file__).resolve().parents[2]

#: The scope in which row-level security shows rows of every organisation: to the sender and to other services.
SCOPE = "sender"

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
inbox.table(METADATA)
api.idempotency_table(METADATA)
