"""What inventory tells the privacy service about a person."""

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_inventory.db import METADATA, ROOM
from lotpro_kit import migrations, testing
from services.inventory.tests.conftest import Dealer

CUSTOMER = participant_pb2.SUBJECT_KIND_CUSTOMER
USER = participant_pb2.SUBJECT_KIND_USER


async def ask(
    dealer: Dealer, kind: Any, person: str | UUID, *, email: str = "", org_id: UUID | None = None
) -> tuple[dict[str, int], str, list[Any]]:
    """The counts, the address and the records about a person."""
    subject = participant_pb2.Subject(kind=kind, org_id=str(org_id or dealer.org_id), id=str(person), email=email)
    async with testing.serve_rpc(dealer.parts, dealer.runtime, dealer.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        found = await stub.Discover(participant_pb2.DiscoverRequest(subject=subject))
        records = [record async for record in stub.Export(participant_pb2.ExportRequest(subject=subject))]
    return {count.table: count.count for count in found.counts}, found.email, records


async def sold_and_scheduled(dealer: Dealer) -> dict[str, Any]:
    vehicle = await dealer.add_vehicle()
    sale = await dealer.sell(vehicle)
    async with dealer.client("sales") as client:
        made = await client.post(
            "/api/inventory/v1/deliveries", json={"vehicle_id": vehicle["id"], "starts_at": "2099-06-01T10:00:00"}
        )
        assert made.status_code == 201, made.text
    return sale


async def test_a_customers_records_are_found_counted_and_exported_without_those_who_served_them(
    dealer: Dealer,
) -> None:
    sale = await sold_and_scheduled(dealer)
    await dealer.sell(await dealer.add_vehicle(), customer={"name": "Somebody Else", "email": "else@example.com"})
    counts, email, records = await ask(dealer, CUSTOMER, sale["customer_id"])
    assert counts == {"customers": 1, "sales": 1, "deliveries": 1, "vehicles": 0}
    assert email == "dana.fields@example.com"
    assert [record.table for record in records] == ["customers", "sales", "deliveries"]
    assert records[0].fields["name"] == "Dana Fields"
    assert records[0].fields["phone"] == "+13035550142"
    assert records[1].record_id == sale["id"]
    assert records[1].fields["price_amount"] == 1_200_000
    assert not any(record.third_party for record in records)
    assert str(dealer.user_id) not in str(records)


async def test_the_same_person_in_another_store_of_the_organisation_is_found_by_address(dealer: Dealer) -> None:
    sale = await sold_and_scheduled(dealer)
    elsewhere = await dealer.sell(await dealer.add_vehicle(dealer.other_store_id))
    counts, _, records = await ask(dealer, CUSTOMER, sale["customer_id"])
    assert counts["customers"] == 2
    assert {record.record_id for record in records if record.table == "sales"} == {sale["id"], elsewhere["id"]}


async def test_a_sellers_records_are_marked_as_being_about_others_too(dealer: Dealer) -> None:
    sale = await sold_and_scheduled(dealer)
    counts, email, records = await ask(dealer, USER, dealer.user_id)
    assert counts == {"customers": 1, "sales": 1, "deliveries": 1, "vehicles": 1}
    assert email == ""
    assert {record.table: record.third_party for record in records} == {
        "customers": True, "sales": True, "deliveries": True, "vehicles": False
    }
    assert sale["customer_id"] not in str([record for record in records if record.table != "customers"])
    assert "Dana" not in str(records)


async def test_a_user_who_also_bought_is_found_by_their_address(dealer: Dealer) -> None:
    sale = await sold_and_scheduled(dealer)
    counts, _, records = await ask(dealer, USER, uuid4(), email="dana.fields@example.com")
    assert counts == {"customers": 1, "sales": 1, "deliveries": 1, "vehicles": 0}
    assert records[1].record_id == sale["id"]


async def test_another_organisation_finds_nothing(dealer: Dealer) -> None:
    sale = await sold_and_scheduled(dealer)
    for kind, person in ((CUSTOMER, sale["customer_id"]), (USER, dealer.user_id)):
        counts, email, records = await ask(
            dealer, kind, person, email="dana.fields@example.com", org_id=uuid4()
        )
        assert set(counts.values()) == {0}
        assert (email, records) == ("", [])


async def test_only_privacy_may_ask(dealer: Dealer) -> None:
    subject = participant_pb2.Subject(kind=CUSTOMER, org_id=str(dealer.org_id), id=str(uuid4()))
    async with testing.serve_rpc(dealer.parts, dealer.runtime, dealer.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("billing"))
        for call in (
            stub.Describe(participant_pb2.DescribeRequest()),
            stub.Discover(participant_pb2.DiscoverRequest(subject=subject)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in stub.Export(participant_pb2.ExportRequest(subject=subject)):
                pass
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_it_describes_every_personal_column_of_this_policy(dealer: Dealer) -> None:
    async with testing.serve_rpc(dealer.parts, dealer.runtime, dealer.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        described = await stub.Describe(participant_pb2.DescribeRequest())
    assert described.policy_sha256 == lotpro_policy.policy().sha256
    columns = {(column.table, column.column): column.retention for column in described.columns}
    assert columns["customers", "email"] == "business_data"


def test_every_stored_column_is_declared() -> None:
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    stored = {name: [column.name for column in table.columns] for name, table in METADATA.tables.items()}
    assert lotpro_policy.undeclared(manifest, stored) == []


async def test_the_migrations_make_the_tables_of_the_models(dealer: Dealer, postgres: testing.Postgres) -> None:
    url = postgres.url("inventory_owner", testing.OWNER_PASSWORD, "inventory")
    assert await migrations.drift(url, METADATA) == []
