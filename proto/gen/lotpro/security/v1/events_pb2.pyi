import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lotpro.options.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_SUCCESS: _ClassVar[Outcome]
    OUTCOME_FAILURE: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_SUCCESS: Outcome
OUTCOME_FAILURE: Outcome

class SecurityEvent(_message.Message):
    __slots__ = ("action", "outcome", "occurred_time", "actor_kind", "actor_id", "subject_kind", "subject_id", "org_id", "store_id", "session_id", "factor", "request_id", "trace_id", "changed_fields", "sealed_origin", "concerned_kind", "concerned_id")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_KIND_FIELD_NUMBER: _ClassVar[int]
    ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    SEALED_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CONCERNED_KIND_FIELD_NUMBER: _ClassVar[int]
    CONCERNED_ID_FIELD_NUMBER: _ClassVar[int]
    action: str
    outcome: Outcome
    occurred_time: _timestamp_pb2.Timestamp
    actor_kind: str
    actor_id: str
    subject_kind: str
    subject_id: str
    org_id: str
    store_id: str
    session_id: str
    factor: str
    request_id: str
    trace_id: str
    changed_fields: _containers.RepeatedScalarFieldContainer[str]
    sealed_origin: bytes
    concerned_kind: str
    concerned_id: str
    def __init__(self, action: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., occurred_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor_kind: _Optional[str] = ..., actor_id: _Optional[str] = ..., subject_kind: _Optional[str] = ..., subject_id: _Optional[str] = ..., org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., session_id: _Optional[str] = ..., factor: _Optional[str] = ..., request_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., changed_fields: _Optional[_Iterable[str]] = ..., sealed_origin: _Optional[bytes] = ..., concerned_kind: _Optional[str] = ..., concerned_id: _Optional[str] = ...) -> None: ...
