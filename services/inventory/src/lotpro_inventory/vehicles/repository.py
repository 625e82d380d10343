"""All SQL about cars and vehicles."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from lotpro_inventory.vehicles.domain import StockNumberTaken, Vehicle, VinInStock
from lotpro_inventory.vehicles.models import CARS, VEHICLE_COLUMNS, VEHICLES
from lotpro_inventory.vehicles.states import State
from lotpro_kit.db import Query, Reader, Session

_BY_ID = select(*VEHICLE_COLUMNS).where(
    VEHICLES.c.org_id == bindparam("org_id"), VEHICLES.c.id == bindparam("vehicle_id")
)
_READ_BY_ID = Query(_BY_ID)
#: The function keeps to the caller's stores by itself: trigram operators are not leakproof, so under row-level
#: security their index would not be used. What it finds is read again under row-level security.
_FOUND = text("SELECT * FROM search_vehicles(:words, :state, :make, :stores, :before, :most)").bindparams(
    bindparam("stores", type_=ARRAY(Uuid)), bindparam("before", type_=Uuid)
)
_REFUSALS = {
    "uq_vehicles_open_vin": VinInStock,
    "uq_vehicles_store_id_stock_number": StockNumberTaken,
}
MOST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Filter:
    """Which vehicles of a list are wanted; empty text and None want all."""

    store_ids: frozenset[UUID] | None = None
    state: str = ""
    make: str = ""
    words: str = ""

    def spelled(self) -> str:
        """The filter as one text, to bind cursors to."""
        stores = "*" if self.store_ids is None else ",".join(sorted(map(str, self.store_ids)))
        return f"{stores}|{self.state}|{self.make}|{self.words}"


async def vehicle(session: Session, *, org_id: UUID, vehicle_id: UUID) -> Vehicle | None:
    """One vehicle, or None."""
    found = await session.execute(_BY_ID, {"org_id": org_id, "vehicle_id": vehicle_id})
    row = found.one_or_none()
    return Vehicle(*row) if row is not None else None


async def read_vehicle(reader: Reader, *, org_id: UUID, vehicle_id: UUID) -> Vehicle | None:
    """The same, by the short way: this is what is asked most often."""
    row = await reader.one_or_none(_READ_BY_ID, org_id=org_id, vehicle_id=vehicle_id)
    return Vehicle(**{**row, "state": State(row["state"])}) if row is not None else None


async def vehicles(
    session: Session, *, org_id: UUID, wanted: Filter, before: UUID | None, limit: int
) -> list[Vehicle]:
    """Vehicles, the newest first, beginning after the one whose id is `before`."""
    statement = select(*VEHICLE_COLUMNS).where(VEHICLES.c.org_id == org_id)
    if wanted.words:
        found = await session.execute(
            _FOUND,
            {
                "words": _patterns(wanted.words), "state": wanted.state, "make": wanted.make,
                "stores": None if wanted.store_ids is None else list(wanted.store_ids), "before": before,
                "most": limit,
            },
        )
        statement = statement.where(VEHICLES.c.id.in_(list(found.scalars())))
    else:
        if wanted.store_ids is not None:
            statement = statement.where(VEHICLES.c.store_id.in_(wanted.store_ids))
        if wanted.state:
            statement = statement.where(VEHICLES.c.state == wanted.state)
        if wanted.make:
            statement = statement.where(func.lower(VEHICLES.c.make) == wanted.make)
        if before is not None:
            statement = statement.where(VEHICLES.c.id < before)
    rows = await session.execute(statement.order_by(VEHICLES.c.id.desc()).limit(limit))
    return [Vehicle(*row) for row in rows]


def _patterns(words: str) -> Sequence[str]:
    """LIKE patterns that must all match; more words than the function takes stay together in the last one."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return [f"%{word}%" for word in escaped.split(maxsplit=MOST_WORDS - 1)]


async def vehicles_by(session: Session, *, org_id: UUID, user_id: UUID) -> list[Vehicle]:
    """The vehicles that a person took in, the oldest first."""
    rows = await session.execute(
        select(*VEHICLE_COLUMNS)
        .where(VEHICLES.c.org_id == org_id, VEHICLES.c.added_by == user_id)
        .order_by(VEHICLES.c.id)
    )
    return [Vehicle(*row) for row in rows]


async def stays_of(session: Session, *, org_id: UUID, store_id: UUID, vin: str) -> int:
    """How often a car has been in a store's stock."""
    found = await session.execute(
        select(func.count()).where(
            VEHICLES.c.org_id == org_id, VEHICLES.c.store_id == store_id, VEHICLES.c.vin == vin
        )
    )
    return int(found.scalar_one())


async def put_car(session: Session, car: Mapping[str, Any]) -> None:
    """Write a car down where the store does not know it yet."""
    await session.execute(insert(CARS).values(**car).on_conflict_do_nothing())


async def add_vehicle(session: Session, vehicle: Vehicle) -> None:
    """Insert a vehicle; raises VinInStock and StockNumberTaken."""
    try:
        await session.execute(insert(VEHICLES).values(asdict(vehicle)))
    except IntegrityError as error:
        raise _refusal(error) from error


async def update_vehicle(
    session: Session, *, org_id: UUID, vehicle_id: UUID, expected_version: int, changes: Mapping[str, Any]
) -> Vehicle | None:
    """The vehicle with the changes, or None where its version is no longer the expected one.

    Raises StockNumberTaken.
    """
    statement = (
        VEHICLES.update()
        .where(VEHICLES.c.org_id == org_id, VEHICLES.c.id == vehicle_id, VEHICLES.c.version == expected_version)
        .values(**changes, version=VEHICLES.c.version + 1)
        .returning(*VEHICLE_COLUMNS)
    )
    try:
        row = (await session.execute(statement)).one_or_none()
    except IntegrityError as error:
        raise _refusal(error) from error
    return Vehicle(*row) if row is not None else None


def _refusal(error: IntegrityError) -> Exception:
    """What a broken constraint means; an unforeseen one stays what it is."""
    constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    refusal = _REFUSALS.get(str(constraint))
    return refusal() if refusal is not None else error
