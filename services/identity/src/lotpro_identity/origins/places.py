"""Places of addresses, by a GeoIP2 or GeoLite2 City file where whoever deploys gives one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import maxminddb

EARTH_KILOMETRES = 6371.0


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth, as exact as the file is."""

    name: str
    latitude: float
    longitude: float

    def kilometres_to(self, other: "Place") -> float:
        """The great-circle distance."""
        here, there = math.radians(self.latitude), math.radians(other.latitude)
        half = (
            math.sin((there - here) / 2) ** 2
            + math.cos(here) * math.cos(there) * math.sin(math.radians(other.longitude - self.longitude) / 2) ** 2
        )
        return 2 * EARTH_KILOMETRES * math.asin(math.sqrt(min(1.0, half)))


class Places:
    """Looks addresses up. Without a file nothing is known, and nothing depends on it."""

    def __init__(self, file: Callable[[], str]) -> None:
        """`file` answers the path of an MMDB file, or nothing; it is opened on first use and raises OSError then."""
        self._file = file

    @cached_property
    def _reader(self) -> maxminddb.Reader | None:
        path = self._file()
        return maxminddb.open_database(path) if path else None

    @property
    def are_known(self) -> bool:
        """Whether there is a file."""
        return self._reader is not None

    def name_of(self, ip: str) -> str | None:
        """What the place of an address is called, or None."""
        place = self.of(ip)
        return place.name if place and place.name else None

    def of(self, ip: str) -> Place | None:
        """Where an address is, or None."""
        if self._reader is None:
            return None
        try:
            found = self._reader.get(ip)
        except ValueError:
            # No address at all, or one of the family that the file leaves out.
            return None
        return _place(found) if isinstance(found, dict) else None


def _place(found: dict[str, Any]) -> Place | None:
    location = found.get("location", {})
    if "latitude" not in location or "longitude" not in location:
        return None
    parts = [
        found.get("city", {}).get("names", {}).get("en"),
        *(part.get("names", {}).get("en") for part in found.get("subdivisions", [])[:1]),
        found.get("country", {}).get("names", {}).get("en"),
    ]
    return Place(", ".join(part for part in parts if part), location["latitude"], location["longitude"])
