"""The gRPC door for the privacy service."""

from collections.abc import AsyncIterator
from typing import Any

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit.db import ROOM
from lotpro_audit.events import repository, service
from lotpro_audit.ports import Ports
from lotpro_kit import rpc
from lotpro_kit.caller import Origin, system
from lotpro_kit.db import Database

#: More than a person can cause in 180 days by hand; a larger log is exported by the audit service itself.
MOST = 10_000


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.DescribeRequest, context: Any
    ) -> participant_pb2.DescribeResponse:
        """What audit keeps about people, from its data manifest."""
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
        """How many events the person did or is concerned by."""
        rows = await self._rows(request.subject)
        return participant_pb2.DiscoverResponse(counts=[participant_pb2.TableCount(table="events", count=len(rows))])

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """The events, one message each; where somebody else acted from is left out."""
        for row, origin in await self._rows(request.subject):
            own = row.actor_id == request.subject.id
            answer = participant_pb2.ExportResponse(table="events", record_id=str(row.id), third_party=not own)
            answer.fields.update(
                {
                    "occurred_at": row.occurred_at.isoformat(), "action": row.action,
                    "outcome": "success" if row.success else "failure", "factor": row.factor,
                    "subject_kind": row.subject_kind, "subject_id": row.subject_id,
                    **({"ip": origin.ip, "user_agent": origin.user_agent} if own else {}),
                }
            )
            yield answer

    async def _rows(self, subject: participant_pb2.Subject) -> list[tuple[Any, Origin]]:
        org_id = rpc.request_id(subject.org_id)
        async with self._database.begin(system(org_id)) as session:
            rows = await repository.about(session, str(rpc.request_id(subject.id)), most=MOST)
            return await service.with_origins(session, self._ports, rows)
