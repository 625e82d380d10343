"""What notifications tells the privacy service about a person."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

import lotpro_policy
from lotpro.identity.v1 import events_pb2 as identity_events
from lotpro.inventory.v1 import events_pb2 as inventory_events
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import testing
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery


async def test_a_customer_is_told_of_messages_about_them_in_this_organisation_only(
    notifications: Notifications,
) -> None:
    owner, customer_id = notifications.identity.add_person(), uuid4()
    notifications.identity.owners[str(notifications.org_id)] = [str(owner)]
    await notifications.handle(
        inventory_events.VehicleSold(
            org_id=str(notifications.org_id), sale_id=str(uuid4()), customer_id=str(customer_id)
        ),
        delivery(),
    )

    def subject(org_id: object) -> participant_pb2.Subject:
        return participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_CUSTOMER, org_id=str(org_id), id=str(customer_id)
        )

    async with testing.serve_rpc(notifications.parts, notifications.runtime, notifications.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        own, foreign = subject(notifications.org_id), subject(uuid4())
        found = await stub.Discover(participant_pb2.DiscoverRequest(subject=own))
        assert [(one.table, one.count) for one in found.counts] == [("messages", 1), ("preferences", 0)]
        (record,) = [one async for one in stub.Export(participant_pb2.ExportRequest(subject=own))]
        assert (record.table, record.third_party, record.fields["kind"]) == ("messages", False, "vehicle_sold")
        assert str(owner) not in str(record)
        elsewhere = await stub.Discover(participant_pb2.DiscoverRequest(subject=foreign))
        assert elsewhere.counts[0].count == 0
        assert [one async for one in stub.Export(participant_pb2.ExportRequest(subject=foreign))] == []


async def test_a_members_codes_are_theirs_and_a_stranger_organisation_learns_nothing_of_them(
    notifications: Notifications,
) -> None:
    member = notifications.identity.add_person()
    notifications.identity.owners[str(notifications.org_id)] = [str(member)]
    challenge_id, _, _ = notifications.identity.add_code(expires_at=notifications.clock() + timedelta(minutes=10))
    await notifications.handle(
        identity_events.CodeRequested(challenge_id=str(challenge_id), user_id=str(member)), delivery()
    )

    async def count(stub: Any, org_id: object) -> int:
        subject = participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_USER, org_id=str(org_id), id=str(member)
        )
        found = await stub.Discover(participant_pb2.DiscoverRequest(subject=subject))
        exported = [one async for one in stub.Export(participant_pb2.ExportRequest(subject=subject))]
        assert len(exported) == sum(one.count for one in found.counts)
        return len(exported)

    async with testing.serve_rpc(notifications.parts, notifications.runtime, notifications.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        assert await count(stub, notifications.org_id) == 1
        assert await count(stub, "") == 1
        assert await count(stub, uuid4()) == 0


async def test_the_description_is_the_data_manifest_under_the_policy_in_force(notifications: Notifications) -> None:
    async with testing.serve_rpc(notifications.parts, notifications.runtime, notifications.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        described = await stub.Describe(participant_pb2.DescribeRequest())
        assert described.policy_sha256 == lotpro_policy.policy().sha256
        assert ("messages", "user_id", "identifier") in {
            (column.table, column.column, column.data_class) for column in described.columns
        }
        for name in ("identity", "billing", "notifications"):
            stranger = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as(name))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stranger.Describe(participant_pb2.DescribeRequest())
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
