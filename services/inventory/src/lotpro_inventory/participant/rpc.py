"""The gRPC door for the privacy service."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_inventory.db import ROOM
from lotpro_inventory.participant import service
from lotpro_inventory.participant.domain import TABLES, PersonalRecord
from lotpro_inventory.ports import Ports
from lotpro_kit import errors, rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DescribeRequest, context: Any
    ) -> participant_pb2.DescribeResponse:
        """What inventory keeps about people, from its data manifest."""
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
        """How many records there are, and the customer's address, by which other services find the same person."""
        records, email = await self._records(request.subject)
        counts = Counter(record.table for record in records)
        return participant_pb2.DiscoverResponse(
            counts=[participant_pb2.TableCount(table=table, count=counts[table]) for table in TABLES], email=email
        )

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """The records, one message each."""
        records, _ = await self._records(request.subject)
        for record in records:
            answer = participant_pb2.ExportResponse(
                table=record.table, record_id=str(record.id), third_party=record.third_party
            )
            answer.fields.update(record.fields)
            yield answer

    async def _records(self, subject: participant_pb2.Subject) -> tuple[list[PersonalRecord], str]:
        """A person's records inside the organisation, and the address their customer record has."""
        org_id, person_id = rpc.request_id(subject.org_id), rpc.request_id(subject.id)
        customer_id: UUID | None = None
        if subject.kind == participant_pb2.SUBJECT_KIND_CUSTOMER:
            customer_id = person_id
        elif subject.kind != participant_pb2.SUBJECT_KIND_USER:
            raise errors.Invalid("The subject's kind is not known.")
        async with self._database.begin(system(org_id)) as session:
            found = await service.person_as_customer(
                session=session, ports=self._ports, org_id=org_id, customer_id=customer_id, email=subject.email
            )
            records = await service.records_of_customer(session=session, org_id=org_id, found=found)
            if customer_id is None:
                records += await service.records_of_user(session=session, org_id=org_id, user_id=person_id)
        emails = (customer.contact.email for customer in found if customer.contact and customer.contact.email)
        return records, next(emails, "").lower()
