"""Queueing an alert: a challenge whose link says "this wasn't me"."""

from uuid import UUID

from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Channel, Purpose
from lotpro_identity.ports import Ports
from lotpro_kit.db import Session


async def tell(
    session: Session,
    ports: Ports,
    topic: Topic,
    *,
    account_id: UUID,
    org_id: UUID | None = None,
    address: str | None = None,
    channel: Channel = Channel.EMAIL,
) -> None:
    """Tell a person, at the account's address or at another one, once the transaction commits."""
    await challenges.open_challenge(
        session, purpose=Purpose.ALERT, account_id=account_id, org_id=org_id, now=ports.clock(), topic=topic,
        channel=channel,
        address=challenges.seal_address(ports.keyring, address) if address else None,
    )
