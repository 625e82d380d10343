"""The gRPC door for the privacy service."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import lotpro_policy
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit.db import ROOM
from lotpro_audit.events import service
from lotpro_audit.events.service import Event
from lotpro_audit.holds import service as holds
from lotpro_audit.ports import Ports
from lotpro_kit import errors, rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database

#: Events read in one transaction of an export.
AT_ONCE = 500
#: The log, and what outlives its day in it.
EVENTS, HELD = "events", "held_events"
#: Whose data can be asked for. Both are named in events by their id alone.
KINDS = (participant_pb2.SUBJECT_KIND_CUSTOMER, participant_pb2.SUBJECT_KIND_USER)


class ParticipantRpc(participant_pb2_grpc.PrivacyParticipantServiceServicer):
    """PrivacyParticipantService of the contract."""

    def __init__(self, database: Database, ports: Ports, *, at_once: int = AT_ONCE) -> None:
        self._database, self._ports, self._at_once = database, ports, at_once

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
        """How many of the organisation's events the person did or is concerned by, and how many outlive their day."""
        org_id, person_id = _person(request.subject)
        async with self._database.begin(system(org_id)) as session:
            count = await service.count_about(session, org_id=org_id, person_id=person_id)
            held = await holds.count_about(session, org_id=org_id, person_id=person_id)
        counts = [participant_pb2.TableCount(table=EVENTS, count=count)]
        if held:
            counts.append(participant_pb2.TableCount(table=HELD, count=held))
        return participant_pb2.DiscoverResponse(counts=counts)

    async def Export(  # noqa: N802 - gRPC's name
        self, request: participant_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[participant_pb2.ExportResponse]:
        """Those events, all of them, one message each, oldest first; then what a legal hold keeps, marked `held`.

        What is being copied out of a day at this moment may be in both.
        """
        org_id, person_id = _person(request.subject)
        for table, events_about in ((EVENTS, service.events_about), (HELD, holds.events_about)):
            after = None
            while True:
                async with self._database.begin(system(org_id)) as session:
                    found = await events_about(
                        session, self._ports, org_id=org_id, person_id=person_id, after=after, limit=self._at_once
                    )
                for event in found:
                    yield _record(event, table=table, own=event.leaf.actor_id == str(person_id))
                if len(found) < self._at_once:
                    break
                last = found[-1].leaf
                after = last.occurred_at, last.seq


def _person(subject: participant_pb2.Subject) -> tuple[UUID, UUID]:
    """Organisation and person of a question."""
    if subject.kind not in KINDS:
        raise errors.Invalid("The subject's kind is not known.")
    return rpc.request_id(subject.org_id), rpc.request_id(subject.id)


def _record(event: Event, *, table: str, own: bool) -> participant_pb2.ExportResponse:
    """An event as it is handed out; where somebody else acted from, and who that was, is left out."""
    row, origin = event.leaf, event.origin
    answer = participant_pb2.ExportResponse(table=table, record_id=row.id, third_party=not own)
    answer.fields.update(
        {
            "occurred_at": row.occurred_at.isoformat(), "action": row.action,
            "outcome": "success" if row.success else "failure", "factor": row.factor,
            "subject_kind": row.subject_kind, "subject_id": row.subject_id,
            **({"ip": origin.ip, "user_agent": origin.user_agent} if own else {}),
            **({"held": True} if table == HELD else {}),
        }
    )
    return answer
