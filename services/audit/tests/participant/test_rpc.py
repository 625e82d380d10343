"""What audit answers the privacy service, and nobody else."""

from collections.abc import Awaitable
from datetime import timedelta
from uuid import UUID, uuid4

import grpc
import grpc.aio
import pytest

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit import app
from lotpro_audit.participant.rpc import ParticipantRpc
from lotpro_kit import ids, rpc, service, testing
from services.audit.tests.conftest import Log
from services.audit.tests.legal import expire, noon, place

CUSTOMER, USER = participant_pb2.SUBJECT_KIND_CUSTOMER, participant_pb2.SUBJECT_KIND_USER


def subject(kind: participant_pb2.SubjectKind.ValueType, org_id: UUID, person: UUID) -> participant_pb2.Subject:
    return participant_pb2.Subject(kind=kind, org_id=str(org_id), id=str(person))


async def test_a_user_gets_what_they_did_with_its_origin_and_what_is_about_them_without(log: Log) -> None:
    await log.take(log.act("identity:session:create"))
    await log.take(log.act("identity:member:invite", actor_id=str(uuid4()), subject_kind="user",
                           subject_id=str(log.actor_id)))
    await log.take(log.act(actor_id=str(uuid4())))
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        asked = subject(USER, log.org_id, log.actor_id)
        found = [item async for item in stub.Export(participant_pb2.ExportRequest(subject=asked))]
        discovered = await stub.Discover(participant_pb2.DiscoverRequest(subject=asked))
    told = {item.fields["action"]: item for item in found}
    assert set(told) == {"identity:session:create", "identity:member:invite"}
    assert told["identity:session:create"].fields["ip"] == "203.0.113.9"
    assert not told["identity:session:create"].third_party
    assert "ip" not in told["identity:member:invite"].fields
    assert told["identity:member:invite"].third_party
    assert [(entry.table, entry.count) for entry in discovered.counts] == [("events", 2)]


async def test_a_user_of_two_organisations_is_told_only_what_concerns_the_asking_one(log: Log) -> None:
    await log.take(log.act())
    await log.take(log.act(org_id=str(uuid4())))
    await log.take(log.act(org_id=""))
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        request = participant_pb2.ExportRequest(subject=subject(USER, log.org_id, log.actor_id))
        assert len([item async for item in stub.Export(request)]) == 1


async def test_a_long_export_is_told_to_its_end(log: Log) -> None:
    small_pages = ParticipantRpc(log.runtime.database, app.ports(log.runtime), at_once=3)
    servicer = rpc.Servicer(
        participant_pb2.DESCRIPTOR, participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server, small_pages
    )
    moment = log.runtime.clock()
    made = [str(await log.take(log.act(at=moment))) for _ in range(7)]
    async with testing.serve_rpc(service.Parts(servicers=[servicer]), log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        request = participant_pb2.ExportRequest(subject=subject(USER, log.org_id, log.actor_id))
        found = [item.record_id async for item in stub.Export(request)]
    assert found == sorted(made)


async def test_what_a_hold_keeps_of_a_person_is_told_and_marked(log: Log) -> None:
    over = log.old_day()
    old = await log.take_at(noon(over), log.act("identity:session:create", at=noon(over)))
    seen = await log.take_at(
        noon(over),
        log.act("identity:member:update", at=noon(over) + timedelta(seconds=1), actor_id=str(uuid4()),
                subject_kind="user", subject_id=str(log.actor_id)),
    )
    await log.take_at(noon(over), log.act(at=noon(over), actor_id=str(uuid4())))
    await log.take(log.act())
    async with log.client("compliance") as officer:
        await place(officer)
    await expire(log)
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        asked = subject(USER, log.org_id, log.actor_id)
        found = [item async for item in stub.Export(participant_pb2.ExportRequest(subject=asked))]
        discovered = await stub.Discover(participant_pb2.DiscoverRequest(subject=asked))
        other = participant_pb2.ExportRequest(subject=subject(USER, uuid4(), log.actor_id))
        assert [item async for item in stub.Export(other)] == []
    assert [(item.table, item.fields["action"], "held" in item.fields) for item in found] == [
        ("events", "inventory:vehicle:sell", False),
        ("held_events", "identity:session:create", True),
        ("held_events", "identity:member:update", True),
    ]
    assert [item.record_id for item in found[1:]] == [str(old), str(seen)]
    assert [item.third_party for item in found[1:]] == [False, True]
    assert found[1].fields["held"] is True
    assert found[1].fields["ip"] == "203.0.113.9"
    assert "ip" not in found[2].fields
    assert [(entry.table, entry.count) for entry in discovered.counts] == [("events", 1), ("held_events", 2)]


async def test_strangers_and_other_services_are_refused(log: Log) -> None:
    asked = subject(CUSTOMER, log.org_id, uuid4())
    append = audit_pb2.AppendEventRequest(event_id=str(ids.new()), event=log.act())
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        inventory = channel_as("inventory")
        wrong = participant_pb2_grpc.PrivacyParticipantServiceStub(inventory)
        calls: list[Awaitable[object]] = [
            wrong.Describe(participant_pb2.DescribeRequest()),
            wrong.Discover(participant_pb2.DiscoverRequest(subject=asked)),
            audit_pb2_grpc.AuditServiceStub(inventory).AppendEvent(append),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            _ = [item async for item in wrong.Export(participant_pb2.ExportRequest(subject=asked))]
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_question_about_nobody_and_an_act_without_a_name_are_invalid(log: Log) -> None:
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        unknown = subject(participant_pb2.SUBJECT_KIND_UNSPECIFIED, log.org_id, uuid4())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Discover(participant_pb2.DiscoverRequest(subject=unknown))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        for event in (log.act("nonsense"), audit_pb2.AppendEventRequest().event):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await audit_pb2_grpc.AuditServiceStub(channel_as("privacy")).AppendEvent(
                    audit_pb2.AppendEventRequest(event_id=str(ids.new()), event=event)
                )
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
