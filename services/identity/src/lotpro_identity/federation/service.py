"""Use cases of federation."""

from uuid import UUID

from lotpro_identity.federation import repository
from lotpro_kit.db import Session


async def is_verified(session: Session, *, org_id: UUID, email: str) -> bool:
    """Whether a normalised address is in a domain that the organisation has proven."""
    return await repository.is_verified(session, org_id, email.rpartition("@")[2])


async def forget(session: Session, account_id: UUID) -> None:
    """Drop who a person is at providers."""
    await repository.forget(session, account_id)
