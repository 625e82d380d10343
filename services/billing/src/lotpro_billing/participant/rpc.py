"""The gRPC door for the privacy service."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_billing.db import ROOM
from lotpro_billing.participant import service
from lotpro_kit import errors, rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DescribeRequest, context: Any
    ) -> participant_pb2.DescribeResponse:
        """What billing keeps about people, from its data manifest."""
        manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
        return participant_pb2.DescribeResponse(
            policy_sha256=lotpro_policy.policy().sha256,
            columns=[
                participant_pb2.Column(
                    table=table, column=name, data_class=column.data_class, purpose=column.purpose,
                    lawful_basis=column.lawful_basis, retention=column.retention,
                )
                for table, name, column in manifest.columns()
            ],
        )

    async def Discover(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DiscoverRequest, context: Any
    ) -> participant_pb2.DiscoverResponse:
        """How many records there are about the owner of the organisation's subscription."""
        counts = dict.fromkeys(service.TABLES, 0)
        if (person := _owner(request.subject)) is not None:
            org_id, user_id = person
            async with self._database.begin(system(org_id)) as session:
                counts = await service.counts_for_owner(session=session, org_id=org_id, user_id=user_id)
        return participant_pb2.DiscoverResponse(
            counts=[participant_pb2.TableCount(table=table, count=count) for table, count in counts.items()]
        )

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """The records, one message each."""
        person = _owner(request.subject)
        if person is None:
            return
        org_id, user_id = person
        async with self._database.begin(system(org_id)) as session:
            async for record in service.records_for_owner(session=session, org_id=org_id, user_id=user_id):
                answer = participant_pb2.ExportResponse(
                    table=record.table, record_id=str(record.id), third_party=False
                )
                answer.fields.update(record.fields)
                yield answer


def _owner(subject: participant_pb2.Subject) -> tuple[UUID, UUID] | None:
    """Organisation and user of a question; None where billing can hold nothing: a dealer's customer pays us nothing."""
    if subject.kind == participant_pb2.SUBJECT_KIND_CUSTOMER:
        return None
    if subject.kind != participant_pb2.SUBJECT_KIND_USER:
        raise errors.Invalid("The subject's kind is not known.")
    if not subject.org_id:
        return None
    return rpc.request_id(subject.org_id), rpc.request_id(subject.id)
