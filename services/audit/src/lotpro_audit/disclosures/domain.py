"""What the register says of a disclosure, and what it cannot say; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lotpro_kit import errors


class DisclosureTimesImpossible(errors.Invalid):
    """Nothing is given before it is asked for, or later than now."""

    code = "audit.disclosure_times_impossible"
    message = "A request is received first, then answered, and both have happened."


class DisclosureNotTold(errors.Invalid):
    """The people concerned are told, or there is a reason why not."""

    code = "audit.disclosure_not_told"
    message = "Say that the people concerned were told, or why not, and not both."


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for what, on which ground."""

    requester: str
    authority: str
    legal_basis: str
    reference: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Given:
    """What was handed over: the events of a hold or of a filter, or of both, as one export."""

    hold_id: UUID | None
    filter: Mapping[str, str]
    event_count: int
    export_sha256: bytes
    given_at: datetime
    given_by: UUID | None
    person_told: bool
    untold_reason: str | None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One line of the register. It is never changed."""

    id: UUID
    org_id: UUID
    requester: str
    authority: str
    legal_basis: str
    reference: str
    received_at: datetime
    hold_id: UUID | None
    filter: Mapping[str, str]
    event_count: int
    export_sha256: bytes
    given_at: datetime
    given_by: UUID
    person_told: bool
    untold_reason: str | None
    recorded_at: datetime
    recorded_by: UUID


def check(request: Request, given: Given, *, now: datetime) -> None:
    """Raises DisclosureTimesImpossible and DisclosureNotTold."""
    if not request.received_at <= given.given_at <= now:
        raise DisclosureTimesImpossible
    if given.person_told != (given.untold_reason is None):
        raise DisclosureNotTold
