"""HTTP shapes of streams."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from lotpro_audit.streams.domain import Kind, PauseReason, State
from lotpro_audit.streams.service import Seen
from lotpro_kit.api import Answer, Body

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Our SIEM"])]
Address = Annotated[
    str,
    Field(
        min_length=1, max_length=500, examples=["https://siem.example.com/lotpro"],
        description="Of a webhook: a public https address. Of a syslog server: a public `host:port`, reached by TLS.",
    ),
]
Personal = Annotated[
    bool, Field(description="Also send addresses and browsers, which are personal data.", examples=[False])
]


class AddStream(Body):
    """Where the organisation's log is to be sent from now on."""

    kind: Kind = Field(examples=["webhook"])
    name: Name
    address: Address
    personal: Personal = False


class UpdateStream(Body):
    """A change (RFC 7396): what is left out stays."""

    name: Name = ""
    address: Address = ""
    personal: Personal = False

    def changes(self) -> dict[str, Any]:
        """What was given."""
        return self.model_dump(exclude_unset=True)


class Stream(Answer):
    """A stream and how far it is."""

    id: UUID
    kind: Kind
    name: str
    address: str
    personal: bool
    state: State
    pause_reason: PauseReason | None = Field(description="`gone`: the receiver answered 410.")
    position: int = Field(description="Number (`org_seq`) of the last event that arrived.")
    lag: int = Field(description="How many events are still to be sent.")
    attempts: int = Field(description="How often in a row sending failed.")
    next_attempt_at: datetime | None = Field(description="When it is tried again, after it failed.")
    last_error: str | None = Field(examples=["answered_503"])
    last_failed_at: datetime | None
    last_sent_at: datetime | None
    former_secret_until: datetime | None = Field(description="Until when the secret before signs as well.")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="As in the ETag.")


class StreamWithSecret(Stream):
    """The same with its secret, which is told only now."""

    secret: str = Field(
        description=(
            "Signs what is sent: `Lotpro-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 of `<seconds>.<body>` under this"
            " text. During a rotation there is a `v1` for each valid secret. Empty for syslog."
        )
    )


class Streams(Answer):
    """Streams, the newest first."""

    items: list[Stream]
    next_cursor: str | None


def _fields(seen: Seen) -> dict[str, Any]:
    row = seen.stream
    return {
        "id": row.id, "kind": row.kind, "name": row.name, "address": row.address, "personal": row.personal,
        "state": row.state, "pause_reason": row.pause_reason, "position": row.position, "lag": seen.lag,
        "attempts": row.attempts, "next_attempt_at": row.next_attempt_at if row.attempts else None,
        "last_error": row.last_error, "last_failed_at": row.last_failed_at, "last_sent_at": row.last_sent_at,
        "former_secret_until": row.former_until, "created_at": row.created_at, "updated_at": row.updated_at,
        "version": row.version,
    }


def stream(seen: Seen) -> Stream:
    """A stream as it is shown."""
    return Stream(**_fields(seen))


def with_secret(seen: Seen, secret: str) -> StreamWithSecret:
    """A stream as it is shown to whoever made its secret."""
    return StreamWithSecret(**_fields(seen), secret=secret)
