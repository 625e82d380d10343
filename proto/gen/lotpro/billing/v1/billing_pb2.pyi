import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lotpro.options.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetEntitlementRequest(_message.Message):
    __slots__ = ("org_id",)
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    def __init__(self, org_id: _Optional[str] = ...) -> None: ...

class GetEntitlementResponse(_message.Message):
    __slots__ = ("org_id", "plan", "status", "features", "stores_limit", "valid_until_time")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    STORES_LIMIT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    plan: str
    status: str
    features: _containers.RepeatedScalarFieldContainer[str]
    stores_limit: int
    valid_until_time: _timestamp_pb2.Timestamp
    def __init__(self, org_id: _Optional[str] = ..., plan: _Optional[str] = ..., status: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., stores_limit: _Optional[int] = ..., valid_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
