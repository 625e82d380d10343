"""How messages look over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_kit import api
from lotpro_notifications.messages import domain
from lotpro_notifications.messages.domain import Channel, Kind, Lane, State


class Message(api.Answer):
    """A message and what became of it; without content or address, which are kept nowhere."""

    id: UUID = Field(examples=["0192e4a0-7c1e-7b3a-9d52-2f6f0c9a4e11"])
    kind: Kind = Field(examples=["vehicle_sold"])
    lane: Lane = Field(examples=["transactional"])
    channel: Channel | None = Field(description="Null until a code's way is known.", examples=["email"])
    recipient_id: UUID | None = Field(
        description="The person's user id; null for somebody without an account.",
        examples=["0192e4a0-7c1e-7b3a-9d52-2f6f0c9a4e12"],
    )
    state: State = Field(
        description="`unknown`: the provider did not say whether it took the message, so it is not sent again.",
        examples=["sent"],
    )
    reason: str | None = Field(description="Why it was not sent (yet).", examples=["notifications.provider_busy"])
    attempts: int = Field(examples=[1])
    created_at: datetime = Field(examples=["2026-01-05T15:32:00Z"])
    updated_at: datetime = Field(examples=["2026-01-05T15:32:01Z"])


class MessagePage(api.Answer):
    """Messages, the newest first."""

    items: list[Message]
    next_cursor: str | None = Field(description="For the next page; null at the end.", examples=[None])


def message(row: domain.Message) -> Message:
    """A row as it is shown."""
    return Message.model_construct(
        id=row.id, kind=row.kind, lane=row.lane, channel=row.channel, recipient_id=row.user_id, state=row.state,
        reason=row.reason, attempts=row.attempts, created_at=row.created_at, updated_at=row.updated_at,
    )
