"""What a VIN says about a car, decoded offline from NHTSA's vPIC data."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder knows; None where it does not know."""

    year: int | None
    make: str | None
    model: str | None
    trim: str | None
    body: str | None


class VinDecoder(Protocol):
    """Tells what a VIN stands for."""

    async def decode(self, vin: str) -> Decoded:
        """What the 17 characters say. A VIN that nobody assigned answers with fields that are None."""
        ...


class UltravinDecoder:
    """`ultravin`: the whole vPIC database in the wheel, no network."""

    async def decode(self, vin: str) -> Decoded:
        return await asyncio.to_thread(_decode, vin)


def _decode(vin: str) -> Decoded:
    # Imported on first use: its 30 MB of data are not needed by a worker that adds no vehicles.
    import ultravin

    found = ultravin.decode(vin)
    attributes: dict[str, Any] = found["attributes"]
    return Decoded(
        year=found["model_year"],
        make=_make(attributes.get("Make")),
        model=attributes.get("Model") or None,
        trim=attributes.get("Trim") or attributes.get("Series") or None,
        body=attributes.get("Body Class") or None,
    )


#: vPIC writes makes in capitals; these are no words but letters, so they stay so.
_LETTERS = frozenset({"BMW", "GMC", "MINI", "RAM", "BYD", "MG", "VPG", "AM"})


def _make(name: str | None) -> str | None:
    """A make as people write it: `HONDA` -> `Honda`, `MERCEDES-BENZ` -> `Mercedes-Benz`, `BMW` stays."""
    if not name:
        return None
    return name if name in _LETTERS else name.title()
