"""Amounts of money: integer minor units and an ISO 4217 currency."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

#: The currencies that dealers of the markets we serve ask prices in (ISO 4217).
Currency = Literal["USD", "CAD", "MXN", "EUR", "GBP"]
#: 10 million whole units: above any vehicle, below what arithmetic in 64 bits minds.
MOST_MINOR_UNITS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` minor units (cents) of `currency`; never negative."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    amount: Annotated[int, Field(strict=True, ge=0, le=MOST_MINOR_UNITS, examples=[2_499_500])]
    currency: Annotated[Currency, Field(examples=["USD"])]


def from_columns(amount: int | None, currency: Currency | None) -> Money | None:
    """The money two columns hold, or None where they hold none."""
    return None if amount is None or currency is None else Money(amount, currency)
