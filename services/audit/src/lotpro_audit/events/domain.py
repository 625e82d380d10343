"""Which days the log keeps, what an event must be, and its OCSF class; pure."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors
from lotpro_kit.caller import Origin

#: Days that are made before they come, so that no event waits for its table.
DAYS_AHEAD = 7
#: An event may be this far ahead of our clock.
AHEAD = timedelta(days=1)


_ACTION = re.compile(r"[a-z]+:[a-z_]+:[a-z_]+", re.ASCII)


class EventUnreadable(errors.Invalid):
    """The event does not say what was done."""

    code = "audit.event_unreadable"
    message = "An event names its action as service:noun:verb."


class EventOutOfRange(errors.Invalid):
    """The event happened on a day that is over for the log, or not there yet."""

    code = "audit.event_out_of_range"
    message = "The event's time is outside of the days the log keeps."


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One act, as the log keeps it."""

    id: UUID
    occurred_at: datetime
    action: str
    success: bool
    actor_kind: str
    actor_id: str
    subject_kind: str = ""
    subject_id: str = ""
    concerned_kind: str = ""
    concerned_id: str = ""
    org_id: UUID | None = None
    store_id: UUID | None = None
    session_id: str = ""
    factor: str = ""
    request_id: str = ""
    trace_id: str = ""
    changed_fields: tuple[str, ...] = ()
    origin: Origin = field(default_factory=Origin)


def retention() -> timedelta:
    """How long security logs are kept: the policy's 180 days."""
    return lotpro_policy.policy().retention["security_logs"].duration


def claim_days() -> int:
    """How many days the ids of events that came are remembered: until the log would refuse them as too old.

    An event may have been AHEAD of our clock when it came. One that comes again is either known or refused, so it is
    never written twice.
    """
    return retention().days + 2 * AHEAD.days


def check(event: SecurityEvent) -> None:
    """Raises EventUnreadable when the event does not say what was done."""
    if _ACTION.fullmatch(event.action) is None:
        raise EventUnreadable


def oldest_day(now: datetime) -> date:
    """The oldest day that is still kept: a day goes when its last moment is 180 days old, never before."""
    return (now.astimezone(UTC) - retention()).date()


def expired_days(days: list[date], *, as_of: datetime) -> list[date]:
    """Which of the days are to be dropped."""
    return sorted(day for day in days if day < oldest_day(as_of))


def days_ahead(now: datetime) -> list[date]:
    """Today and the days to be made ready."""
    today = now.astimezone(UTC).date()
    return [today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]


def day_of(event: SecurityEvent, *, now: datetime) -> date:
    """The day an event belongs to, in UTC; raises EventOutOfRange."""
    day = event.occurred_at.astimezone(UTC).date()
    if day < oldest_day(now) or event.occurred_at > now + AHEAD:
        raise EventOutOfRange
    return day


class Ocsf(NamedTuple):
    """Open Cybersecurity Schema Framework: a class and its name."""

    class_uid: int
    class_name: str


_FINDING = Ocsf(2004, "Detection Finding")
_ACCOUNT = Ocsf(3001, "Account Change")
_AUTHENTICATION = Ocsf(3002, "Authentication")
_AUTHORIZE = Ocsf(3003, "Authorize Session")
_ENTITY = Ocsf(3004, "Entity Management")
_ACCESS = Ocsf(3005, "User Access Management")

#: By noun, and single actions that are of another class than the rest of their noun.
_NOUNS: dict[str, Ocsf] = {
    "identity:session": _AUTHENTICATION,
    "identity:account": _ACCOUNT,
    "identity:email": _ACCOUNT,
    "identity:password": _ACCOUNT,
    "identity:factor": _ACCOUNT,
    "identity:member": _ACCESS,
    "identity:access": _ACCESS,
    "identity:device": _ENTITY,
    "identity:store": _ENTITY,
    "identity:organisation": _ENTITY,
    "identity:federation": _ENTITY,
    "identity:provisioning": _ENTITY,
}
_ACTIONS: dict[str, Ocsf] = {
    "identity:session:refresh_reuse": _FINDING,
    "identity:session:suspicious": _FINDING,
    "identity:session:switch": _AUTHORIZE,
    "identity:factor:send_code": _AUTHENTICATION,
    "identity:federation:link": _ACCOUNT,
    "identity:organisation:transfer": _ACCESS,
}
_API_ACTIVITY = Ocsf(6003, "API Activity")


def ocsf(action: str) -> Ocsf:
    """The OCSF class of an action `service:noun:verb`."""
    return _ACTIONS.get(action) or _NOUNS.get(action.rpartition(":")[0], _API_ACTIVITY)
