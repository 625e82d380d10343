"""Audit's metadata: the plumbing's tables here, the log and its tree beside their nouns."""

from pathlib import Path

from sqlalchemy import MetaData

from lotpro_kit import api, crypto, db, outbox

#: The room of this service, where its migrations and its data manifest are.
ROOM = Path(__file__).resolve().parents[2]

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
crypto.table(METADATA)
api.idempotency_table(METADATA)

#: Row-level security lets this scope count and copy what is about to be forgotten,
RETENTION = "retention"
#: and this one read everything to prove that it is as it was written.
VERIFICATION = "verification"
#: This one sees how far each organisation's log was held against its alerts,
ALERTS = "alerts"
#: this one the streams that there is something to send to,
STREAMS = "streams"
#: and this one page views, to count them, and who objects to that.
USAGE = "usage"
