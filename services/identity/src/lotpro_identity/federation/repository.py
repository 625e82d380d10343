"""SQL of federation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from lotpro_identity.federation.models import (
    FEDERATED_IDENTITIES,
    FEDERATION_DOMAINS,
    FEDERATIONS,
    SSO_STATES,
)
from lotpro_kit import ids
from lotpro_kit.db import Session


async def federation(session: Session, org_id: UUID, *, lock: bool = False) -> Any:
    """An organisation's provider, with `lock` held until the transaction ends."""
    wanted = select(FEDERATIONS).where(FEDERATIONS.c.org_id == org_id)
    return (await session.execute(wanted.with_for_update() if lock else wanted)).one_or_none()


async def put_federation(session: Session, org_id: UUID, values: dict[str, object], *, now: datetime) -> Any:
    """Store an organisation's provider, instead of the one there was; answers the row."""
    statement = upsert(FEDERATIONS).values(org_id=org_id, created_at=now, changed_at=now, **values)
    stored = await session.execute(
        statement.on_conflict_do_update(
            index_elements=["org_id"], set_=values | {"changed_at": now, "version": FEDERATIONS.c.version + 1}
        ).returning(FEDERATIONS)
    )
    return stored.one()


async def remove_federation(session: Session, org_id: UUID) -> bool:
    """Forget an organisation's provider and who is who there; False where there was none."""
    await session.execute(delete(FEDERATED_IDENTITIES).where(FEDERATED_IDENTITIES.c.org_id == org_id))
    gone = await session.execute(
        delete(FEDERATIONS).where(FEDERATIONS.c.org_id == org_id).returning(FEDERATIONS.c.org_id)
    )
    return gone.one_or_none() is not None


async def domains(session: Session, org_id: UUID) -> Sequence[Any]:
    """An organisation's domains, proven or not, by name."""
    found = await session.execute(
        select(FEDERATION_DOMAINS).where(FEDERATION_DOMAINS.c.org_id == org_id).order_by(FEDERATION_DOMAINS.c.domain)
    )
    return found.all()


async def domain(session: Session, org_id: UUID, name: str) -> Any:
    """One of an organisation's domains."""
    found = await session.execute(
        select(FEDERATION_DOMAINS).where(FEDERATION_DOMAINS.c.org_id == org_id, FEDERATION_DOMAINS.c.domain == name)
    )
    return found.one_or_none()


async def add_domain(session: Session, org_id: UUID, name: str, *, token: str, now: datetime) -> None:
    """Store a domain that is to be proven; one that is there stays as it is."""
    statement = upsert(FEDERATION_DOMAINS).values(org_id=org_id, domain=name, token=token, created_at=now)
    await session.execute(statement.on_conflict_do_nothing())


async def verify_domain(session: Session, org_id: UUID, name: str, *, now: datetime) -> None:
    """The domain is theirs."""
    await session.execute(
        update(FEDERATION_DOMAINS)
        .where(FEDERATION_DOMAINS.c.org_id == org_id, FEDERATION_DOMAINS.c.domain == name)
        .values(verified_at=now)
    )


async def remove_domain(session: Session, org_id: UUID, name: str) -> bool:
    """Forget a domain; False where there was none."""
    gone = await session.execute(
        delete(FEDERATION_DOMAINS)
        .where(FEDERATION_DOMAINS.c.org_id == org_id, FEDERATION_DOMAINS.c.domain == name)
        .returning(FEDERATION_DOMAINS.c.domain)
    )
    return gone.one_or_none() is not None


async def is_verified(session: Session, org_id: UUID, name: str) -> bool:
    """Whether an organisation has proven a domain."""
    found = await session.execute(
        select(FEDERATION_DOMAINS.c.domain).where(
            FEDERATION_DOMAINS.c.org_id == org_id, FEDERATION_DOMAINS.c.domain == name,
            FEDERATION_DOMAINS.c.verified_at.is_not(None),
        )
    )
    return found.one_or_none() is not None


async def organisation_of(session: Session, name: str) -> UUID | None:
    """Which organisation has proven a domain."""
    found = await session.execute(
        select(FEDERATION_DOMAINS.c.org_id).where(
            FEDERATION_DOMAINS.c.domain == name, FEDERATION_DOMAINS.c.verified_at.is_not(None)
        )
    )
    org_id: UUID | None = found.scalar_one_or_none()
    return org_id


async def add_state(session: Session, values: dict[str, object]) -> None:
    """Store a sign-in that goes to the provider."""
    await session.execute(insert(SSO_STATES).values(values))


async def use_state(session: Session, digest: bytes) -> Any:
    """Take a sign-in that comes back; it cannot come back again."""
    taken = await session.execute(delete(SSO_STATES).where(SSO_STATES.c.digest == digest).returning(SSO_STATES))
    return taken.one_or_none()


async def forget_states(session: Session, *, before: datetime) -> int:
    """Drop sign-ins that never came back; answers how many."""
    dropped = await session.execute(delete(SSO_STATES).where(SSO_STATES.c.expires_at < before))
    return int(getattr(dropped, "rowcount", 0))


async def hold_subject(session: Session, issuer: str, subject: str) -> None:
    """One sign-in of a subject at a time, until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{issuer}\x01{subject}", 0))))


async def identity(session: Session, *, org_id: UUID, issuer: str, subject: str) -> Any:
    """Whose subject it is in an organisation."""
    found = await session.execute(
        select(FEDERATED_IDENTITIES).where(
            FEDERATED_IDENTITIES.c.org_id == org_id, FEDERATED_IDENTITIES.c.issuer == issuer,
            FEDERATED_IDENTITIES.c.subject == subject,
        )
    )
    return found.one_or_none()


async def identity_of(session: Session, *, org_id: UUID, issuer: str, account_id: UUID) -> Any:
    """Which subject an account is in an organisation."""
    found = await session.execute(
        select(FEDERATED_IDENTITIES).where(
            FEDERATED_IDENTITIES.c.org_id == org_id, FEDERATED_IDENTITIES.c.issuer == issuer,
            FEDERATED_IDENTITIES.c.account_id == account_id,
        )
    )
    return found.one_or_none()


async def link(
    session: Session, *, org_id: UUID, issuer: str, subject: str, account_id: UUID, now: datetime
) -> None:
    """The subject is this account."""
    await session.execute(
        insert(FEDERATED_IDENTITIES).values(
            id=ids.new(), org_id=org_id, account_id=account_id, issuer=issuer, subject=subject, created_at=now,
            last_used_at=now,
        )
    )


async def note_use(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """The subject signed in."""
    await session.execute(
        update(FEDERATED_IDENTITIES).where(FEDERATED_IDENTITIES.c.id == identity_id).values(last_used_at=now)
    )


async def identities_of(session: Session, account_id: UUID) -> Sequence[Any]:
    """Who a person is at providers."""
    found = await session.execute(
        select(FEDERATED_IDENTITIES).where(FEDERATED_IDENTITIES.c.account_id == account_id)
    )
    return found.all()


async def forget(session: Session, account_id: UUID) -> None:
    """Drop who a person is at providers."""
    await session.execute(delete(FEDERATED_IDENTITIES).where(FEDERATED_IDENTITIES.c.account_id == account_id))
