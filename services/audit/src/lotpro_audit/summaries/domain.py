"""What a summary of suspicious activity counts, and over how long a time; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from lotpro_kit import errors

#: A summary is of so many days at most, and of so many without being asked.
MOST_DAYS, DEFAULT_DAYS = 90, 30
#: So many people are named, those with the most acts first.
TOP = 10


class PeriodImpossible(errors.Invalid):
    """The days asked for are none, or too many."""

    code = "audit.period_impossible"
    message = f"Ask for 1 to {MOST_DAYS} days: the last one not before the first."


@dataclass(frozen=True, slots=True)
class Day:
    """What there was on a day (UTC). Failed sign-ins are all of them; `mfa_failures` those that failed at a factor."""

    day: date
    failed_sign_ins: int = 0
    mfa_failures: int = 0
    lockouts: int = 0
    refresh_reuses: int = 0
    suspicious_findings: int = 0
    new_devices: int = 0
    actors: int = 0
    addresses: int = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in whose name such acts were done or tried, and how many."""

    actor_id: UUID
    count: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Every day of a period, without a gap, and who stands out."""

    days: Sequence[Day]
    top_actors: Sequence[Actor]


def period(first: date | None, last: date | None, *, now: datetime) -> tuple[date, date]:
    """The first and the last day (UTC) of a summary; raises PeriodImpossible.

    Without a last one it ends today, without a first one it is of DEFAULT_DAYS.
    """
    end = last or now.astimezone(UTC).date()
    if first is None:
        first = end - min(timedelta(days=DEFAULT_DAYS - 1), end - date.min)
    if not 0 <= (end - first).days < MOST_DAYS:
        raise PeriodImpossible
    return first, end


def moments(first: date, last: date) -> tuple[datetime, datetime]:
    """The first moment of a period, and the first after it; raises PeriodImpossible at the end of the calendar."""
    if last.year >= 9000 or first.year < 1970:
        raise PeriodImpossible
    return datetime.combine(first, time(), UTC), datetime.combine(last + timedelta(days=1), time(), UTC)


def days(since: datetime, until: datetime) -> Iterator[date]:
    """Every day from one midnight on and before another."""
    return (since.date() + timedelta(days=number) for number in range((until - since).days))
