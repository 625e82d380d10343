"""What billing tells the privacy service about the owner of a subscription."""

from typing import Any
from uuid import uuid4

import grpc
import pytest

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import testing
from services.billing.tests.conftest import Billing
from services.billing.tests.factories import webhook


async def test_the_owner_is_told_of_subscription_and_invoices_and_nobody_else_is(billing: Billing) -> None:
    subscription = await billing.started()
    invoice = billing.stripe.invoices[billing.stripe.add_invoice(subscription["id"], status="paid")]
    async with billing.working():
        await billing.post_webhook(webhook("invoice.paid", invoice))

        async def listed() -> bool:
            return bool((await billing.view("invoices"))["items"])

        await testing.eventually(listed)

    async def records(stub: Any, **facts: Any) -> list[str]:
        subject = participant_pb2.Subject(**facts)
        found = await stub.Discover(participant_pb2.DiscoverRequest(subject=subject))
        exported = [one async for one in stub.Export(participant_pb2.ExportRequest(subject=subject))]
        assert sum(count.count for count in found.counts) == len(exported)
        assert not any(one.third_party for one in exported)
        return [one.table for one in exported]

    user, customer = participant_pb2.SUBJECT_KIND_USER, participant_pb2.SUBJECT_KIND_CUSTOMER
    org_id, owner_id = str(billing.org_id), str(billing.owner_id)
    async with testing.serve_rpc(billing.parts, billing.runtime, billing.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        assert await records(stub, kind=user, org_id=org_id, id=owner_id) == ["subscriptions", "ledger_entries"]
        assert await records(stub, kind=user, org_id=org_id, id=str(uuid4())) == []
        assert await records(stub, kind=user, org_id=str(uuid4()), id=owner_id) == []
        assert await records(stub, kind=user, org_id="", id=owner_id) == []
        assert await records(stub, kind=customer, org_id=org_id, id=owner_id) == []
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await records(
                participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("identity")),
                kind=user, org_id=org_id, id=owner_id,
            )
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_description_is_the_data_manifest_under_the_policy_in_force(billing: Billing) -> None:
    async with testing.serve_rpc(billing.parts, billing.runtime, billing.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        described = await stub.Describe(participant_pb2.DescribeRequest())
    assert described.policy_sha256 == lotpro_policy.policy().sha256
    assert ("ledger_entries", "amount_paid", "billing_records") in {
        (column.table, column.column, column.retention) for column in described.columns
    }
