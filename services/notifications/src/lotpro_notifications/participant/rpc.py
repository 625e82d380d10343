"""The gRPC door for the privacy service."""

from collections.abc import AsyncIterator
from typing import Any

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import errors, rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_notifications.clients.identity import Identity
from lotpro_notifications.db import ROOM, SCOPE
from lotpro_notifications.messages import service as messages
from lotpro_notifications.messages.domain import Person
from lotpro_notifications.participant import service
from lotpro_notifications.preferences import service as preferences

MESSAGES, PREFERENCES = "messages", "preferences"


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database, identity: Identity) -> None:
        self._database, self._identity = database, identity

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DescribeRequest, context: Any
    ) -> participant_pb2.DescribeResponse:
        """What notifications keeps about people, from its data manifest."""
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
        """How many messages there are to the user or about the customer, and whether the user chose anything."""
        person = await self._person(request.subject)
        chosen = 0
        async with self._database.begin(system(scope=SCOPE)) as session:
            sent = await messages.count_messages(session=session, person=person)
            if person.outside and person.user_id is not None:
                chosen = await preferences.count_preferences(session=session, user_id=person.user_id)
        return participant_pb2.DiscoverResponse(
            counts=[
                participant_pb2.TableCount(table=MESSAGES, count=sent),
                participant_pb2.TableCount(table=PREFERENCES, count=chosen),
            ]
        )

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """The messages, one each, without who else they went to; then the user's own preferences."""
        person = await self._person(request.subject)
        async with self._database.begin(system(scope=SCOPE)) as session:
            async for message in messages.messages_for_export(session=session, person=person):
                answer = participant_pb2.ExportResponse(table=MESSAGES, record_id=str(message.id), third_party=False)
                answer.fields.update(service.fields_of(message))
                yield answer
            if person.outside and person.user_id is not None:
                chosen = await preferences.view_preferences(session=session, user_id=person.user_id)
                if chosen.version:
                    answer = participant_pb2.ExportResponse(
                        table=PREFERENCES, record_id=str(chosen.user_id), third_party=False
                    )
                    answer.fields.update({"sms_alerts": chosen.sms_alerts})
                    yield answer

    async def _person(self, subject: participant_pb2.Subject) -> Person:
        if subject.kind == participant_pb2.SUBJECT_KIND_CUSTOMER:
            return Person(org_id=rpc.request_id(subject.org_id), customer_id=rpc.request_id(subject.id))
        if subject.kind == participant_pb2.SUBJECT_KIND_USER:
            org_id = rpc.request_id(subject.org_id) if subject.org_id else None
            return await service.user(identity=self._identity, org_id=org_id, user_id=rpc.request_id(subject.id))
        raise errors.Invalid("The subject's kind is not known.")
