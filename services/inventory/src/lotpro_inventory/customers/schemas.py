"""HTTP shapes of customers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import phonenumbers
from pydantic import AfterValidator, EmailStr, Field

from lotpro_inventory.customers import domain
from lotpro_kit import api

#: Numbers without a country code are read as numbers of the United States, where our dealers are.
HOME_REGION = "US"


def _e164(text: str) -> str:
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException as error:
        raise ValueError("this is not a telephone number") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError("this is not a telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


Phone = Annotated[str, Field(max_length=32, examples=["+13035550142"]), AfterValidator(_e164)]
PersonName = Annotated[str, Field(min_length=1, max_length=200, examples=["Dana Fields"])]
Email = Annotated[EmailStr, Field(max_length=254, examples=["dana@example.com"])]


class NewCustomer(api.Body):
    """A person who buys, or may buy."""

    name: PersonName
    email: Email | None = None
    phone: Phone | None = None

    def contact(self) -> domain.Contact:
        """The same for the use case."""
        return domain.Contact(self.name, self.email, self.phone)


class AddCustomer(NewCustomer):
    """A customer of a store."""

    store_id: UUID


class FindCustomers(api.Body):
    """Which customers to find: those with this very address, whatever its case."""

    email: Email
    store_id: UUID | None = Field(default=None, description="Only in this store.")


class Customer(api.Answer):
    """A customer of a store; name, email and phone are null once the person's data has been erased."""

    id: UUID
    store_id: UUID
    name: str | None = Field(examples=["Dana Fields"])
    email: str | None = Field(examples=["dana@example.com"])
    phone: str | None = Field(examples=["+13035550142"])
    added_by: UUID
    created_at: datetime
    version: int = Field(examples=[1])


class CustomerPage(api.Answer):
    """Customers, the newest first, and where the list goes on."""

    items: list[Customer]
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last.")


def customer(found: domain.Customer) -> Customer:
    """A customer as it is answered."""
    contact = found.contact
    return Customer(
        id=found.id,
        store_id=found.store_id,
        name=contact.name if contact else None,
        email=contact.email if contact else None,
        phone=contact.phone if contact else None,
        added_by=found.added_by,
        created_at=found.created_at,
        version=found.version,
    )
