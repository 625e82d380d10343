"""Use cases of vehicles: taking them in, finding, changing and selling them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lotpro.inventory.v1 import events_pb2
from lotpro_inventory.clients.vin_decoder import Decoded
from lotpro_inventory.money import Money
from lotpro_inventory.ports import Ports
from lotpro_inventory.stores import service as stores
from lotpro_inventory.stores.service import organisation_of
from lotpro_inventory.vehicles import repository, states, vin
from lotpro_inventory.vehicles.domain import Vehicle, VehicleAlreadySold, VinCheckDigit, VinMalformed, VinUnknown
from lotpro_inventory.vehicles.repository import Filter
from lotpro_inventory.vehicles.states import Action, State, TransitionRefused
from lotpro_kit import ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Reader, Session
from lotpro_kit.errors import NotFound, PreconditionFailed


@dataclass(frozen=True, slots=True)
class Intake:
    """What a dealer says of a vehicle that comes in; the rest is decoded from the VIN. `mileage` in miles."""

    store_id: UUID
    vin: str
    stock_number: str | None
    price: Money | None
    cost: Money | None
    mileage: int | None
    color: str | None
    state: State
    override_reason: str | None


async def add_vehicle(*, session: Session, caller: Caller, ports: Ports, intake: Intake) -> Vehicle:
    """Take a vehicle into a store's stock.

    The VIN's check digit must be right and its maker known, or else a reason be given, which goes on record.
    Raises VinMalformed, VinCheckDigit, VinUnknown, VinInStock, StockNumberTaken, TransitionRefused for a state that
    no vehicle begins in, and NotFound for a store that the caller does not reach.
    """
    number = vin.normalised(intake.vin)
    if not vin.well_formed(number):
        raise VinMalformed
    if intake.state not in states.ENTRY:
        raise TransitionRefused(f"No vehicle begins as {intake.state}.")
    digit_right = vin.check_digit_right(number)
    if not digit_right and not intake.override_reason:
        raise VinCheckDigit
    decoded = await ports.vin_decoder.decode(number)
    if decoded.make is None and not intake.override_reason:
        raise VinUnknown
    await stores.known_store(session=session, caller=caller, identity=ports.identity, store_id=intake.store_id)
    org_id, now = organisation_of(caller), ports.clock()
    overridden = intake.override_reason if not digit_right or decoded.make is None else None
    await repository.put_car(session, _car(org_id, intake.store_id, number, digit_right, decoded))
    vehicle = Vehicle(
        id=ids.new(),
        org_id=org_id,
        store_id=intake.store_id,
        vin=number,
        stock_number=intake.stock_number or await _free_stock_number(session, org_id, intake.store_id, number),
        state=intake.state,
        year=decoded.year,
        make=decoded.make,
        model=decoded.model,
        trim=decoded.trim,
        body=decoded.body,
        color=intake.color,
        mileage=intake.mileage,
        override_reason=overridden,
        added_by=_person(caller),
        created_at=now,
        updated_at=now,
        version=1,
        **_columns_of("price", intake.price),
        **_columns_of("cost", intake.cost),
    )
    await repository.add_vehicle(session, vehicle)
    await outbox.put(
        session,
        events_pb2.VehicleAdded(
            org_id=str(org_id), store_id=str(vehicle.store_id), vehicle_id=str(vehicle.id), version=vehicle.version
        ),
    )
    await ports.security_log.record(
        session, caller, "inventory:vehicle:add", at=now, subject=("vehicle", vehicle.id), store_id=vehicle.store_id,
        changed=("override_reason",) if overridden else (),
    )
    return vehicle


async def vehicle(*, session: Session, caller: Caller, vehicle_id: UUID) -> Vehicle:
    """One vehicle of the caller's stores; raises NotFound."""
    found = await repository.vehicle(session, org_id=organisation_of(caller), vehicle_id=vehicle_id)
    if found is None:
        raise NotFound
    return found


async def view_vehicle(*, reader: Reader, caller: Caller, vehicle_id: UUID) -> Vehicle:
    """The same with a reader, for the door; raises NotFound."""
    found = await repository.read_vehicle(reader, org_id=organisation_of(caller), vehicle_id=vehicle_id)
    if found is None:
        raise NotFound
    return found


async def list_vehicles(
    *, session: Session, caller: Caller, wanted: Filter, before: UUID | None, limit: int
) -> list[Vehicle]:
    """Vehicles of the caller's stores, the newest first, at most `limit`, after the one with the id `before`."""
    return await repository.vehicles(
        session, org_id=organisation_of(caller), wanted=wanted, before=before, limit=limit
    )


def search_words(text: str) -> str:
    """What somebody typed, as words to search by; a whole VIN is found by its last eight."""
    words = (word[-8:] if vin.well_formed(word.upper()) else word for word in text.split())
    return " ".join(words).lower()


async def update_vehicle(
    *,
    session: Session,
    caller: Caller,
    ports: Ports,
    vehicle_id: UUID,
    expected_version: int,
    changes: Mapping[str, Any],
) -> Vehicle:
    """Change fields of a vehicle; `changes` maps fields (price and cost as Money or None) to their new values.

    Raises NotFound, PreconditionFailed, TransitionRefused, StockNumberTaken, and VehicleAlreadySold for a price,
    cost or stock number of a vehicle that is sold.
    """
    before = await vehicle(session=session, caller=caller, vehicle_id=vehicle_id)
    if before.version != expected_version:
        raise PreconditionFailed
    if before.state not in states.OPEN and changes.keys() & {"price", "cost", "stock_number"}:
        raise VehicleAlreadySold
    columns: dict[str, Any] = {"updated_at": ports.clock()}
    for field, value in changes.items():
        columns |= _columns_of(field, value) if field in ("price", "cost") else {field: value}
    target = columns.get("state", before.state)
    if target != before.state:
        states.action_between(before.state, target)
    after = await repository.update_vehicle(
        session, org_id=before.org_id, vehicle_id=vehicle_id, expected_version=expected_version, changes=columns
    )
    if after is None:
        raise PreconditionFailed
    await _announce_update(session, after)
    await ports.security_log.record(
        session, caller, "inventory:vehicle:update", at=after.updated_at, subject=("vehicle", after.id),
        store_id=after.store_id, changed=tuple(sorted(changes)),
    )
    return after


async def mark_sold(
    *, session: Session, caller: Caller, ports: Ports, vehicle_id: UUID, expected_version: int
) -> Vehicle:
    """Move a vehicle to sold by compare-and-set: of any number of sellers at once, one succeeds.

    The row stays locked until the transaction ends. Raises NotFound, VehicleAlreadySold, TransitionRefused and
    PreconditionFailed, in this order.
    """
    before = await vehicle(session=session, caller=caller, vehicle_id=vehicle_id)
    after = None
    if before.state in states.OPEN:
        target = states.after(before.state, Action.SELL)
        after = await repository.update_vehicle(
            session, org_id=before.org_id, vehicle_id=vehicle_id, expected_version=expected_version,
            changes={"state": target, "updated_at": ports.clock()},
        )
    if after is not None:
        return after
    present = await vehicle(session=session, caller=caller, vehicle_id=vehicle_id)
    raise PreconditionFailed if present.state in states.OPEN else VehicleAlreadySold


async def vehicles_by(*, session: Session, org_id: UUID, user_id: UUID) -> list[Vehicle]:
    """The vehicles that a person took in."""
    return await repository.vehicles_by(session, org_id=org_id, user_id=user_id)


async def _announce_update(session: Session, changed: Vehicle) -> None:
    await outbox.put(
        session,
        events_pb2.VehicleUpdated(
            org_id=str(changed.org_id), store_id=str(changed.store_id), vehicle_id=str(changed.id),
            version=changed.version,
        ),
    )


async def _free_stock_number(session: Session, org_id: UUID, store_id: UUID, number: str) -> str:
    """The VIN's last eight; with a count behind it for a car that comes back."""
    stays = await repository.stays_of(session, org_id=org_id, store_id=store_id, vin=number)
    return f"{number[-8:]}-{stays + 1}" if stays else number[-8:]


def _car(org_id: UUID, store_id: UUID, number: str, digit_right: bool, decoded: Decoded) -> dict[str, Any]:
    return {
        "org_id": org_id, "store_id": store_id, "vin": number, "check_digit_right": digit_right,
        "year": decoded.year, "make": decoded.make, "model": decoded.model, "trim": decoded.trim,
        "body": decoded.body,
    }  # fmt: skip


def _columns_of(field: str, value: Money | None) -> dict[str, Any]:
    """The two columns that hold an amount of money."""
    return {
        f"{field}_amount": value.amount if value else None,
        f"{field}_currency": value.currency if value else None,
    }


def _person(caller: Caller) -> UUID:
    """The user who acts; only users take vehicles in."""
    if caller.user_id is None:
        raise NotFound
    return caller.user_id
