"""What a legal hold is, and which may be placed; pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors


class HoldEndsInThePast(errors.Invalid):
    """A hold that is over before it begins keeps nothing."""

    code = "audit.hold_ends_in_the_past"
    message = "The hold's end must lie in the future."


class HoldTimeEmpty(errors.Invalid):
    """The time a hold reaches ends before it begins."""

    code = "audit.hold_time_empty"
    message = "The time that the hold reaches must end after it begins."


class HoldOver(errors.Conflict):
    """The hold was released, or its end has come."""

    code = "audit.hold_over"
    message = "The hold is over already."


class State(StrEnum):
    """Whether a hold still keeps what it reaches."""

    ACTIVE = "active"
    RELEASED = "released"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a hold reaches: an organisation's events; if given only of a store, about a person, from `since` on and
    before `until`."""

    store_id: UUID | None = None
    person_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold. `first_day`: the oldest day that the log still had when the hold was placed."""

    id: UUID
    org_id: UUID
    store_id: UUID | None
    person_id: UUID | None
    since: datetime | None
    until: datetime | None
    reason: str
    authority: str
    placed_by: UUID
    placed_at: datetime
    ends_at: datetime | None
    released_by: UUID | None
    released_at: datetime | None
    first_day: date
    days_gone: int
    version: int

    @property
    def scope(self) -> Scope:
        """What it reaches."""
        return Scope(self.store_id, self.person_id, self.since, self.until)

    def state(self, now: datetime) -> State:
        """Whether it keeps what it reaches at a moment."""
        if self.released_at is not None and self.released_at <= now:
            return State.RELEASED
        return State.ENDED if self.ends_at is not None and self.ends_at <= now else State.ACTIVE


def check(scope: Scope, *, ends_at: datetime | None, now: datetime) -> None:
    """Raises HoldEndsInThePast and HoldTimeEmpty."""
    if ends_at is not None and ends_at <= now:
        raise HoldEndsInThePast
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise HoldTimeEmpty


def days_gone(gone: list[date], scope: Scope) -> int:
    """How many of the days that went have something of the time that a scope reaches."""
    return sum(
        (scope.since is None or scope.since.astimezone(UTC).date() <= day)
        and (scope.until is None or datetime.combine(day, time(), UTC) < scope.until)
        for day in gone
    )


def records_end(as_of: datetime) -> datetime:
    """Records of holds and disclosures that were over before this moment have outlived their 24 months (policy)."""
    return lotpro_policy.policy().retention["legal_records"].cutoff(as_of)
