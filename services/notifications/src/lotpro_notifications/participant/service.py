"""Whose messages a question is about, and what of a message is handed out."""

from collections.abc import Mapping
from uuid import UUID

from lotpro_notifications.clients.identity import Identity
from lotpro_notifications.messages.domain import Message, Person


async def user(*, identity: Identity, org_id: UUID | None, user_id: UUID) -> Person:
    """A person with an account: what the organisation sent them, and their own codes where they belong to it.

    Without an organisation it is the person themselves who asks: only what no organisation sent. Raises Unavailable.
    """
    outside = org_id is None or user_id in await identity.members(org_id)
    return Person(org_id=org_id, user_id=user_id, outside=outside)


def fields_of(message: Message) -> Mapping[str, str | None]:
    """A message as it is handed out: without the ids of other people, and there is no content to hand out."""
    return {
        "kind": message.kind,
        "channel": message.channel,
        "state": message.state,
        "created_at": message.created_at.isoformat(),
        "updated_at": message.updated_at.isoformat(),
    }
