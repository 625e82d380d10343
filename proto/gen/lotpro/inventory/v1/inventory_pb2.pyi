import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lotpro.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSaleRequest(_message.Message):
    __slots__ = ("org_id", "sale_id")
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    SALE_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    sale_id: str
    def __init__(self, org_id: _Optional[str] = ..., sale_id: _Optional[str] = ...) -> None: ...

class GetSaleResponse(_message.Message):
    __slots__ = ("sale_id", "store_id", "vehicle_id", "vin", "stock_number", "year", "make", "model", "price_amount", "price_currency", "seller_id", "sold_time")
    SALE_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    VEHICLE_ID_FIELD_NUMBER: _ClassVar[int]
    VIN_FIELD_NUMBER: _ClassVar[int]
    STOCK_NUMBER_FIELD_NUMBER: _ClassVar[int]
    YEAR_FIELD_NUMBER: _ClassVar[int]
    MAKE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PRICE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRICE_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    SELLER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLD_TIME_FIELD_NUMBER: _ClassVar[int]
    sale_id: str
    store_id: str
    vehicle_id: str
    vin: str
    stock_number: str
    year: int
    make: str
    model: str
    price_amount: int
    price_currency: str
    seller_id: str
    sold_time: _timestamp_pb2.Timestamp
    def __init__(self, sale_id: _Optional[str] = ..., store_id: _Optional[str] = ..., vehicle_id: _Optional[str] = ..., vin: _Optional[str] = ..., stock_number: _Optional[str] = ..., year: _Optional[int] = ..., make: _Optional[str] = ..., model: _Optional[str] = ..., price_amount: _Optional[int] = ..., price_currency: _Optional[str] = ..., seller_id: _Optional[str] = ..., sold_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
