"""What privacy asks of every service that holds personal data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import grpc.aio
from google.protobuf.json_format import MessageToDict

from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import rpc
from lotpro_privacy.requests.domain import SubjectKind

#: An export may be long; it streams.
EXPORT_SECONDS = 60.0

_KINDS = {
    SubjectKind.CUSTOMER: participant_pb2.SUBJECT_KIND_CUSTOMER, SubjectKind.USER: participant_pb2.SUBJECT_KIND_USER,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data is asked for, in which organisation; the address is empty when it is not known."""

    org_id: UUID
    kind: SubjectKind
    id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record about a person."""

    table: str
    id: str
    fields: Mapping[str, Any]
    third_party: bool


@dataclass(frozen=True, slots=True)
class ColumnDescribed:
    """What a service declares about a column it keeps; purpose and retention are keys of the policy."""

    table: str
    column: str
    data_class: str
    purpose: str
    lawful_basis: str
    retention: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a service holds: its declaration, how many records in which table, the records, the address it knows."""

    policy_sha256: str
    described: tuple[ColumnDescribed, ...]
    counts: Mapping[str, int]
    records: tuple[Record, ...]
    email: str


class Participant(Protocol):
    """A service that holds personal data."""

    async def collect(self, person: Person) -> Found:
        """Everything it holds about a person; raises Unavailable when it does not answer."""
        ...


class ParticipantOverGrpc:
    """PrivacyParticipantService of a service."""

    def __init__(self, name: str, channel: grpc.aio.Channel) -> None:
        self._name = name
        self._stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel)

    async def collect(self, person: Person) -> Found:
        """Describe, discover, then export."""
        subject = participant_pb2.Subject(
            kind=_KINDS[person.kind], org_id=str(person.org_id), id=str(person.id), email=person.email
        )
        with rpc.calling(self._name):
            declared = await self._stub.Describe(participant_pb2.DescribeRequest())
            discovered = await self._stub.Discover(participant_pb2.DiscoverRequest(subject=subject))
            stream = self._stub.Export(participant_pb2.ExportRequest(subject=subject), timeout=EXPORT_SECONDS)
            records = tuple([_record(answer) async for answer in stream])
        return Found(
            policy_sha256=declared.policy_sha256,
            described=tuple(
                ColumnDescribed(
                    table=entry.table, column=entry.column, data_class=entry.data_class, purpose=entry.purpose,
                    lawful_basis=entry.lawful_basis, retention=entry.retention,
                )
                for entry in declared.columns
            ),
            counts={entry.table: int(entry.count) for entry in discovered.counts}, records=records,
            email=discovered.email,
        )


def _record(answer: participant_pb2.ExportResponse) -> Record:
    return Record(
        table=answer.table, id=answer.record_id, fields=MessageToDict(answer.fields), third_party=answer.third_party
    )
