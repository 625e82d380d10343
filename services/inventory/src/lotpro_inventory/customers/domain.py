"""What a customer is, and what can be wrong with one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """A person as the store knows them: `email` as given, `phone` E.164. Personal data."""

    name: str
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of one store; `contact` is None when the person's key was destroyed."""

    id: UUID
    org_id: UUID
    store_id: UUID
    contact: Contact | None
    added_by: UUID
    created_at: datetime
    version: int
