"""Privacy's metadata: the plumbing's tables here, the cases beside their noun."""

from pathlib import Path

from sqlalchemy import MetaData

from lotpro_kit import api, crypto, db, inbox, outbox

#: The room of this service, where its migrations and its data manifest are.
ROOM = Path(__file__).resolve().parents[2]

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
inbox.table(METADATA)
api.idempotency_table(METADATA)
crypto.table(METADATA)

#: Row-level security lets the engine that works on all cases see them; nothing else does.
ENGINE = "engine"
#: And this one remove what is past its retention.
RETENTION = "retention"
