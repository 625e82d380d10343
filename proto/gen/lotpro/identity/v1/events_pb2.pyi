from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AccountSignedUp(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class EmailConfirmed(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class FactorEnrolled(_message.Message):
    __slots__ = ("user_id", "factor")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    factor: str
    def __init__(self, user_id: _Optional[str] = ..., factor: _Optional[str] = ...) -> None: ...

class OrganisationCreated(_message.Message):
    __slots__ = ("org_id", "owner_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    owner_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., owner_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class StoreOpened(_message.Message):
    __slots__ = ("org_id", "store_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class MemberInvited(_message.Message):
    __slots__ = ("org_id", "invitation_id", "invited_by")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    INVITED_BY_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    invitation_id: str
    invited_by: str
    def __init__(self, org_id: _Optional[str] = ..., invitation_id: _Optional[str] = ..., invited_by: _Optional[str] = ...) -> None: ...

class MemberJoined(_message.Message):
    __slots__ = ("org_id", "user_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    user_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., user_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class CodeRequested(_message.Message):
    __slots__ = ("challenge_id", "user_id", "org_id")
    CHALLENGE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    challenge_id: str
    user_id: str
    org_id: str
    def __init__(self, challenge_id: _Optional[str] = ..., user_id: _Optional[str] = ..., org_id: _Optional[str] = ...) -> None: ...
