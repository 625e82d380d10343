from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class UserContext(_message.Message):
    __slots__ = ("user_id", "org_id", "store_ids", "all_stores", "session_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_IDS_FIELD_NUMBER: _ClassVar[int]
    ALL_STORES_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    org_id: str
    store_ids: _containers.RepeatedScalarFieldContainer[str]
    all_stores: bool
    session_id: str
    def __init__(self, user_id: _Optional[str] = ..., org_id: _Optional[str] = ..., store_ids: _Optional[_Iterable[str]] = ..., all_stores: _Optional[bool] = ..., session_id: _Optional[str] = ...) -> None: ...
