"""Identity's metadata: the plumbing's tables here, each noun's own beside the noun."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import MetaData

from lotpro_kit import api, crypto, db, inbox, outbox
from lotpro_kit.caller import Caller

#: The room of this service, where its migrations and its data manifest are.
ROOM = Path(__file__).resolve().parents[2]

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
inbox.table(METADATA)
api.idempotency_table(METADATA)
DATA_KEYS = crypto.table(METADATA)

#: Row-level security lets this scope look up the account that somebody claims to be; only sign-in flows use it.
AUTHENTICATOR = "authenticator"
#: And this one answers other services about accounts.
DIRECTORY = "directory"


def as_authenticator(caller: Caller) -> Caller:
    """The same caller, for whom accounts exist before they have proven to be theirs."""
    return replace(caller, scope=AUTHENTICATOR)
