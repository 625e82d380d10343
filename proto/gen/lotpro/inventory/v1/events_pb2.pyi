from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class VehicleAdded(_message.Message):
    __slots__ = ("org_id", "store_id", "vehicle_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    vehicle_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., vehicle_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class VehicleUpdated(_message.Message):
    __slots__ = ("org_id", "store_id", "vehicle_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    vehicle_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., vehicle_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class VehicleSold(_message.Message):
    __slots__ = ("org_id", "store_id", "vehicle_id", "sale_id", "customer_id", "seller_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_ID_FIELD_NUMBER: _ClassVar[int]
    SALE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SELLER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    vehicle_id: str
    sale_id: str
    customer_id: str
    seller_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., vehicle_id: _Optional[str] = ..., sale_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., seller_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class CustomerAdded(_message.Message):
    __slots__ = ("org_id", "store_id", "customer_id")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    customer_id: str
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class DeliveryScheduled(_message.Message):
    __slots__ = ("org_id", "store_id", "delivery_id", "vehicle_id", "customer_id", "version")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    store_id: str
    delivery_id: str
    vehicle_id: str
    customer_id: str
    version: int
    def __init__(self, org_id: _Optional[str] = ..., store_id: _Optional[str] = ..., delivery_id: _Optional[str] = ..., vehicle_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...
