"""Audit's metadata: the plumbing's tables here, the log beside its noun."""

from pathlib import Path

from sqlalchemy import MetaData

from lotpro_kit import crypto, db, inbox, outbox

#: The room of this service, where its migrations and its data manifest are.
ROOM = Path(__file__).resolve().parents[2]

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
inbox.table(METADATA)
crypto.table(METADATA)

#: Row-level security lets this scope write the log, and nothing else does.
INGEST = "ingest"
#: And this one count what is about to be forgotten.
RETENTION = "retention"
