"""The gRPC door for the privacy service."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_identity.db import DIRECTORY, ROOM
from lotpro_identity.participant import service
from lotpro_identity.participant.service import TABLES, PersonalRecord
from lotpro_identity.ports import Ports
from lotpro_kit import rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DescribeRequest, context: Any
    ) -> participant_pb2.DescribeResponse:
        """What identity keeps about people, from its data manifest."""
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
        """How many records there are; for a user also the address, by which other services find the same person."""
        records = await self._records(request.subject)
        counts = Counter(record.table for record in records)
        email = next((str(record.fields["email"]) for record in records if record.table == "accounts"), "")
        return participant_pb2.DiscoverResponse(
            counts=[participant_pb2.TableCount(table=table, count=counts[table]) for table in TABLES], email=email
        )

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """The records, one message each."""
        for record in await self._records(request.subject):
            answer = participant_pb2.ExportResponse(table=record.table, record_id=record.id)
            answer.fields.update(record.fields)
            yield answer

    async def _records(self, subject: participant_pb2.Subject) -> list[PersonalRecord]:
        org_id = rpc.request_id(subject.org_id)
        is_user = subject.kind == participant_pb2.SUBJECT_KIND_USER
        user_id = rpc.request_id(subject.id) if is_user else None
        async with self._database.begin(system(org_id, scope=DIRECTORY)) as session:
            return await service.records_of(
                session, self._ports, org_id=org_id, user_id=user_id, email=subject.email
            )
