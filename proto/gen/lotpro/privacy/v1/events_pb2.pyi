from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RequestOpened(_message.Message):
    __slots__ = ("org_id", "request_id", "opened_by", "kind")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OPENED_BY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    request_id: str
    opened_by: str
    kind: str
    def __init__(self, org_id: _Optional[str] = ..., request_id: _Optional[str] = ..., opened_by: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class RequestAnswered(_message.Message):
    __slots__ = ("org_id", "request_id", "opened_by", "kind")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OPENED_BY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    request_id: str
    opened_by: str
    kind: str
    def __init__(self, org_id: _Optional[str] = ..., request_id: _Optional[str] = ..., opened_by: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...
