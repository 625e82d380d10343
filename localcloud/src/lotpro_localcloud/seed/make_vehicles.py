"""Makes vehicles.json, the demo dealer's stock: run it to renew the file; the same every time.

Every VIN is put together by ultravin from a real maker's code, schema and pattern of NHTSA's vPIC, has a right check
digit and decodes without an error to the model and year that were wanted; serial numbers are random. Prices are the
model's price when new (rounded, United States, 2025), less 15 % in the first year and `keeps` per year after it, with
some scatter, as asked by franchised dealers; costs leave 3 to 7 % on new and 9 to 16 % on used ones. Miles are 12,500 a
year with scatter, the average of the Federal Highway Administration being 13,500 for all drivers.
"""

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import ultravin

#: Stands still so that the same VINs come out; the present model year then.
NOW = datetime(2026, 1, 15, tzinfo=UTC)
MODEL_YEAR = 2026
RANDOM_SEED = 320
CANDIDATES = 4000
MILES_A_YEAR = 12_500


@dataclass(frozen=True)
class Line:
    """A model the dealer trades, in vPIC's names: how many new and used, since when, its price when new."""

    make: str
    model: str
    new: int
    used: int
    since: int
    dollars: int
    #: The part of its value that it keeps each year after the first.
    keeps: float = 0.90


LINES = (
    Line("TOYOTA", "Camry", 7, 8, 2012, 31_000),
    Line("TOYOTA", "Corolla", 6, 6, 2012, 24_500),
    Line("TOYOTA", "RAV4", 9, 9, 2013, 33_500, 0.92),
    Line("TOYOTA", "Tacoma", 6, 7, 2012, 38_500, 0.94),
    Line("TOYOTA", "4Runner", 3, 5, 2012, 47_000, 0.94),
    Line("TOYOTA", "Tundra", 4, 3, 2014, 52_000, 0.93),
    Line("TOYOTA", "Sienna", 2, 4, 2013, 41_500, 0.91),
    Line("TOYOTA", "PRIUS", 3, 3, 2012, 30_500),
    Line("HONDA", "Accord", 0, 10, 2012, 30_000),
    Line("HONDA", "Civic", 0, 10, 2012, 26_000),
    Line("HONDA", "CR-V", 0, 11, 2012, 33_000, 0.91),
    Line("HONDA", "Pilot", 0, 5, 2013, 43_000),
    Line("HONDA", "Odyssey", 0, 4, 2013, 42_000),
    Line("FORD", "F-150", 9, 10, 2012, 52_000, 0.92),
    Line("FORD", "Escape", 3, 5, 2013, 32_000, 0.88),
    Line("FORD", "Explorer", 4, 5, 2013, 44_000, 0.89),
    Line("FORD", "Mustang", 2, 4, 2013, 39_000, 0.91),
    Line("FORD", "Bronco Sport", 3, 2, 2021, 34_000),
    Line("FORD", "Maverick", 4, 2, 2022, 30_500, 0.93),
    Line("CHEVROLET", "Silverado", 8, 8, 2014, 50_000, 0.92),
    Line("CHEVROLET", "Equinox", 4, 6, 2013, 30_500, 0.88),
    Line("CHEVROLET", "Tahoe", 2, 4, 2013, 63_000, 0.91),
    Line("CHEVROLET", "Malibu", 0, 4, 2013, 26_500, 0.87),
    Line("CHEVROLET", "Traverse", 2, 3, 2014, 43_000, 0.88),
    Line("RAM", "1500", 6, 6, 2013, 52_500, 0.91),
    Line("JEEP", "Wrangler", 3, 5, 2013, 45_000, 0.93),
    Line("JEEP", "Grand Cherokee", 4, 6, 2012, 46_000, 0.89),
    Line("NISSAN", "Altima", 0, 5, 2013, 28_500, 0.87),
    Line("NISSAN", "Rogue", 0, 6, 2014, 31_000, 0.88),
    Line("NISSAN", "Sentra", 0, 3, 2013, 23_000, 0.88),
    Line("HYUNDAI", "Tucson", 0, 5, 2014, 31_500, 0.89),
    Line("HYUNDAI", "Elantra", 0, 4, 2013, 23_500, 0.88),
    Line("HYUNDAI", "Santa Fe", 0, 3, 2014, 37_500, 0.88),
    Line("KIA", "Sorento", 0, 3, 2014, 36_000, 0.88),
    Line("KIA", "Telluride", 0, 3, 2020, 43_500, 0.92),
    Line("KIA", "Forte", 0, 3, 2014, 21_500, 0.87),
    Line("SUBARU", "Outback", 0, 5, 2013, 34_500, 0.91),
    Line("SUBARU", "Forester", 0, 5, 2013, 33_000, 0.91),
    Line("SUBARU", "Crosstrek", 0, 3, 2016, 28_500, 0.92),
    Line("GMC", "Sierra", 0, 4, 2014, 54_000, 0.92),
    Line("GMC", "Yukon", 0, 2, 2015, 70_000, 0.91),
    Line("MAZDA", "CX-5", 0, 4, 2014, 31_500, 0.89),
    Line("MAZDA", "Mazda3", 0, 3, 2013, 25_500, 0.89),
    Line("VOLKSWAGEN", "Jetta", 0, 3, 2013, 24_000, 0.86),
    Line("VOLKSWAGEN", "Tiguan", 0, 3, 2014, 32_000, 0.86),
    Line("BMW", "X3", 0, 2, 2015, 51_000, 0.86),
    Line("BMW", "X5", 0, 2, 2014, 67_000, 0.86),
    Line("MERCEDES-BENZ", "C-Class", 0, 2, 2014, 50_000, 0.85),
    Line("LEXUS", "RX", 0, 3, 2013, 51_500, 0.91),
    Line("LEXUS", "ES", 0, 2, 2013, 44_500, 0.90),
    Line("TESLA", "Model 3", 0, 3, 2018, 43_000, 0.85),
    Line("TESLA", "Model Y", 0, 2, 2020, 47_500, 0.85),
    Line("DODGE", "Charger", 0, 3, 2013, 39_000, 0.90),
    Line("DODGE", "Durango", 0, 2, 2013, 45_500, 0.89),
)
COLORS = (
    ("White", 24), ("Black", 22), ("Silver", 14), ("Gray", 20), ("Blue", 9), ("Red", 7), ("Green", 2), ("Beige", 2)
)
#: What becomes of a vehicle after it was entered: (state it is entered in, state it is then moved to), and how often.
NEW_STATES = (
    (("incoming", None), 10), (("frontline", None), 80), (("frontline", "hold"), 4), (("frontline", "pending"), 6),
)
USED_STATES = (
    (("incoming", None), 4), (("intake", None), 9), (("recon", None), 16), (("frontline", None), 60),
    (("frontline", "hold"), 4), (("frontline", "pending"), 7),
)


@cache
def _decoded(make: str, year: int) -> tuple[tuple[str, str], ...]:
    """(VIN, model) of candidates of a make and year that decode without any error."""
    # A seed of their own, or all makes and years would have the same serial numbers.
    seed = zlib.crc32(f"{make} {year}".encode())
    vins = ultravin.generate(CANDIDATES, seed=seed, make=make, year=year, invalid_rate=0.0, now=NOW)
    found = []
    for vin, car in zip(vins, ultravin.decode_batch(vins, now=NOW), strict=True):
        clean = car["error_codes"] == [0] and car["check_digit_valid"] and vin[-5:].isdigit()
        if clean and "MOTORCYCLE" not in car["attributes"].get("Vehicle Type", ""):
            found.append((vin, car["attributes"].get("Model", "")))
    return tuple(dict(found).items())


def _cars(
    line: Line, years: list[int], count: int, chance: random.Random, taken: set[str]
) -> Iterator[tuple[str, int]]:
    """`count` VINs of a model with their years, spread over the years that have some."""
    pool = {year: [vin for vin, model in _decoded(line.make, year) if model == line.model] for year in years}
    for _ in range(count):
        pool = {year: left for year, vins in pool.items() if (left := [vin for vin in vins if vin not in taken])}
        if not pool:
            raise SystemExit(f"too few VINs decode to {line.make} {line.model} of {years[0]}..{years[-1]}")
        year = chance.choice(sorted(pool))
        vin = chance.choice(pool[year])
        taken.add(vin)
        yield vin, year


def _asked(dollars: float) -> int:
    """A price as dealers write it, in cents: thousands and hundreds that end in 95 dollars."""
    return max(2_995, round(dollars / 100) * 100 - 5) * 100


def _vehicle(line: Line, vin: str, year: int, number: int, is_new: bool, chance: random.Random) -> dict[str, Any]:
    age = max(MODEL_YEAR - year, 1)
    if is_new:
        mileage, price = chance.randint(3, 60), _asked(line.dollars * chance.uniform(0.98, 1.12))
        cost = round(price * chance.uniform(0.93, 0.97))
    else:
        mileage = round(MILES_A_YEAR * age * chance.uniform(0.7, 1.3)) + chance.randint(0, 99)
        price = _asked(line.dollars * 0.85 * line.keeps ** (age - 1) * chance.uniform(0.92, 1.08))
        cost = round(price * chance.uniform(0.84, 0.91))
    ways, weights = zip(*(NEW_STATES if is_new else USED_STATES), strict=True)
    state, then = chance.choices(ways, weights)[0]
    colors, shares = zip(*COLORS, strict=True)
    return {
        "vin": vin,
        "stock_number": f"{'N' if is_new else 'U'}{year % 100:02}-{number:04}",
        "mileage": mileage,
        "color": chance.choices(colors, shares)[0],
        "price": {"amount": price, "currency": "USD"},
        "cost": {"amount": cost, "currency": "USD"},
        "state": state,
        "then": then,
        "decodes_to": {"year": year, "make": line.make, "model": line.model},
    }


def vehicles() -> list[dict[str, Any]]:
    """The whole stock, mixed as it came in."""
    chance, taken = random.Random(RANDOM_SEED), set[str]()  # noqa: S311 - a fixture, not a secret
    wanted: list[tuple[Line, str, int, bool]] = []
    for line in LINES:
        recent = [MODEL_YEAR - 1, MODEL_YEAR]
        wanted += [(line, vin, year, True) for vin, year in _cars(line, recent, line.new, chance, taken)]
        used = list(range(line.since, MODEL_YEAR))
        wanted += [(line, vin, year, False) for vin, year in _cars(line, used, line.used, chance, taken)]
    chance.shuffle(wanted)
    return [
        _vehicle(line, vin, year, number, is_new, chance)
        for number, (line, vin, year, is_new) in enumerate(wanted, start=1001)
    ]


def main() -> None:
    """Write vehicles.json beside this file, one vehicle a line."""
    lines = ",\n".join(f"  {json.dumps(vehicle)}" for vehicle in vehicles())
    Path(__file__).with_name("vehicles.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
