from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionStarted(_message.Message):
    __slots__ = ("org_id", "subscription_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    subscription_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class EntitlementChanged(_message.Message):
    __slots__ = ("org_id", "status", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    status: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...
