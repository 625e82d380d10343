"""The demo dealer's stock: every vehicle of it is one that inventory takes as it is, and is what it says."""

import json
from pathlib import Path
from uuid import uuid4

from lotpro_inventory.clients.vin_decoder import UltravinDecoder
from lotpro_inventory.vehicles import states, vin
from lotpro_inventory.vehicles.schemas import AddVehicle

STOCK = Path(__file__).parents[4] / "localcloud/src/lotpro_localcloud/seed/vehicles.json"
OF_THE_SEED = {"then", "decodes_to"}


async def test_every_vehicle_of_the_demo_stock_is_taken_and_decodes_to_what_it_says() -> None:
    stock = json.loads(STOCK.read_text())
    assert len(stock) > 300
    decoder = UltravinDecoder()
    for vehicle in stock:
        body = {name: value for name, value in vehicle.items() if name not in OF_THE_SEED}
        intake = AddVehicle.model_validate(body | {"store_id": uuid4()})
        assert vin.well_formed(intake.vin)
        assert vin.check_digit_right(intake.vin)
        assert intake.state in states.ENTRY
        if vehicle["then"]:
            states.action_between(intake.state, states.State(vehicle["then"]))
        car, expected = await decoder.decode(intake.vin), vehicle["decodes_to"]
        assert (car.year, str(car.make).upper(), car.model) == (expected["year"], expected["make"], expected["model"])
    for unique in ("vin", "stock_number"):
        assert len({vehicle[unique] for vehicle in stock}) == len(stock)
