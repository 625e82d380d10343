"""A record about a person, as it is handed to the privacy service."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

#: The tables that hold something about a person, in the order they are exported in.
TABLES = ("customers", "sales", "deliveries", "vehicles")


@dataclass(frozen=True, slots=True, repr=False)
class PersonalRecord:
    """One record, without identifiers of other people where it can do without; `third_party` where it cannot."""

    table: str
    id: UUID
    fields: Mapping[str, str | int | None]
    third_party: bool
