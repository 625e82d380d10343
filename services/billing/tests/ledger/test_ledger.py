"""The ledger: nobody changes it, and what leaves it has had its seven years."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

import lotpro_policy
from lotpro_billing.clients.stripe import Invoice
from lotpro_billing.ledger import service
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.billing.tests.conftest import Billing


async def record(billing: Billing, *, issued_at: datetime) -> str:
    invoice_id = f"in_{uuid4().hex}"
    invoice = Invoice(
        invoice_id, "cus_1", "sub_1", "LOT-1", "paid", 9900, 9900, "USD", issued_at, issued_at, issued_at
    )
    async with billing.runtime.database.begin(system(billing.org_id)) as session:
        await service.record_invoice(session=session, org_id=billing.org_id, invoice=invoice, now=billing.clock())
    return invoice_id


async def as_owner(postgres: testing.Postgres, org_id: UUID, statement: str, *arguments: str) -> str:
    """Run a statement as the tables' owner, who may do more than the service."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=postgres.port, user="billing_owner", password=testing.OWNER_PASSWORD, database="billing"
    )
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('lotpro.org_id', $1, true)", str(org_id))
            return str(await connection.execute(statement, *arguments))
    finally:
        await connection.close()


async def test_even_the_tables_owner_can_neither_change_nor_remove_an_entry(
    billing: Billing, postgres: testing.Postgres
) -> None:
    invoice_id = await record(billing, issued_at=datetime.now(UTC) - timedelta(days=7 * 365 - 2))
    for statement in (
        "UPDATE ledger_entries SET amount_paid = 0 WHERE stripe_invoice_id = $1",
        "DELETE FROM ledger_entries WHERE stripe_invoice_id = $1",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await as_owner(postgres, billing.org_id, statement, invoice_id)
    with pytest.raises(asyncpg.RestrictViolationError):
        await as_owner(postgres, billing.org_id, "TRUNCATE ledger_entries")


async def test_an_entry_may_go_after_the_years_the_policy_names(billing: Billing, postgres: testing.Postgres) -> None:
    kept = lotpro_policy.policy().retention["billing_records"]
    invoice_id = await record(billing, issued_at=kept.cutoff(datetime.now(UTC)) - timedelta(days=1))
    removed = await as_owner(
        postgres, billing.org_id, "DELETE FROM ledger_entries WHERE stripe_invoice_id = $1", invoice_id
    )
    assert removed == "DELETE 1"
    younger = await record(billing, issued_at=kept.cutoff(datetime.now(UTC)) + timedelta(days=1))
    with pytest.raises(asyncpg.RestrictViolationError):
        await as_owner(postgres, billing.org_id, "DELETE FROM ledger_entries WHERE stripe_invoice_id = $1", younger)


async def test_invoices_are_listed_page_by_page(billing: Billing) -> None:
    now = billing.clock()
    for _ in range(3):
        await record(billing, issued_at=now)
    async with billing.client("org_owner") as client:
        first = (await client.get("/api/billing/v1/invoices", params={"limit": 2})).json()
        more = {"limit": 2, "cursor": first["next_cursor"]}
        rest = (await client.get("/api/billing/v1/invoices", params=more)).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    assert not {item["id"] for item in first["items"]} & {item["id"] for item in rest["items"]}
