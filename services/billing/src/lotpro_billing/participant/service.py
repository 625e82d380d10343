"""Finding what billing keeps about the person who owns an organisation's subscription."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from lotpro_billing.ledger import service as ledger
from lotpro_billing.subscriptions import service as subscriptions
from lotpro_kit.db import Session

#: The tables that hold something about a person, in the order they are exported in.
TABLES = ("subscriptions", "ledger_entries")


@dataclass(frozen=True, slots=True)
class PersonalRecord:
    """One record as it is handed out."""

    table: str
    id: UUID
    fields: Mapping[str, str | int | None]


async def counts_for_owner(*, session: Session, org_id: UUID, user_id: UUID) -> dict[str, int]:
    """How many records there are by table; none for somebody who does not own the subscription."""
    row = await subscriptions.subscription_of(session=session, org_id=org_id)
    if row is None or row.owner_id != user_id:
        return dict.fromkeys(TABLES, 0)
    return {"subscriptions": 1, "ledger_entries": await ledger.count_entries(session=session, org_id=org_id)}


async def records_for_owner(*, session: Session, org_id: UUID, user_id: UUID) -> AsyncIterator[PersonalRecord]:
    """The subscription and its ledger entries; none for somebody who does not own the subscription."""
    row = await subscriptions.subscription_of(session=session, org_id=org_id)
    if row is None or row.owner_id != user_id:
        return
    yield PersonalRecord(
        "subscriptions",
        row.id,
        {
            "owner_id": str(row.owner_id),
            "plan": row.plan,
            "quantity": row.quantity,
            "stripe_customer_id": row.stripe_customer_id,
            "stripe_subscription_id": row.stripe_subscription_id,
            "trial_ends_at": row.trial_ends_at.isoformat() if row.trial_ends_at else None,
            "created_at": row.created_at.isoformat(),
        },
    )
    async for entry in ledger.entries_for_export(session=session, org_id=org_id):
        yield PersonalRecord(
            "ledger_entries",
            entry.id,
            {
                "number": entry.number,
                "status": entry.status,
                "amount_due": entry.amount_due,
                "amount_paid": entry.amount_paid,
                "currency": entry.currency,
                "issued_at": entry.issued_at.isoformat(),
            },
        )
