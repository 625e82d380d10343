"""Which days the log keeps, what an event must be, and its OCSF class; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import lotpro_policy
from lotpro_audit.events.leaf import NOBODY
from lotpro_kit import errors
from lotpro_kit.caller import Origin

#: Days that are made before they come, so that no event waits for its table.
DAYS_AHEAD = 7
#: An event may be this far ahead of our clock.
AHEAD = timedelta(days=1)
#: The clause that events go by.
CLAUSE = "retention.security-logs"
#: What the log says of a day that went, and of held events that no hold reached any more.
EXPIRE, ERASE = "audit:day:expire", "audit:hold:erase"

#: No id is all zeros: nobody's is empty, and must not have two spellings.
_UUID = r"(?:(?!0{8}(?:-0{4}){3}-0{12})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?"
_KIND = r"[a-z_]{0,32}"
#: What an event's names and ids are spelled with, one after another with `|` between them.
_SPELLING = re.compile(
    rf"[a-z]+:[a-z_]+:[a-z_]+\|{_KIND}\|{_KIND}\|{_KIND}\|[A-Za-z0-9._-]{{0,64}}" + rf"\|{_UUID}" * 6, re.ASCII
)
#: What clients chose is cut, so that no line of the log is long.
_LONGEST_TEXT, _LONGEST_ACTION = 64, 96


class EventUnreadable(errors.Invalid):
    """The event does not say what was done."""

    code = "audit.event_unreadable"
    message = "An event names its action as service:noun:verb, and people and things by kind and UUID."


class EventOutOfRange(errors.Invalid):
    """The event happened on a day that is over for the log, or not there yet."""

    code = "audit.event_out_of_range"
    message = "The event's time is outside of the days the log keeps."


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One act, as it comes to the log. Ids are UUIDs as text, empty where there is none.

    `actor_id` is a person's; services are known by `actor_name`.
    """

    id: UUID
    occurred_at: datetime
    action: str
    success: bool
    actor_kind: str
    actor_id: str = ""
    actor_name: str = ""
    subject_kind: str = ""
    subject_id: str = ""
    concerned_kind: str = ""
    concerned_id: str = ""
    org_id: str = ""
    store_id: str = ""
    session_id: str = ""
    factor: str = ""
    feature: str = ""
    duration_ms: int = 0
    request_id: str = ""
    trace_id: str = ""
    changed_fields: tuple[str, ...] = ()
    origin: Origin = field(default_factory=Origin)
    #: What the log says of a day that went, or of held events that did; only the log itself says this.
    expiry: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for; None asks for all. `subject_id` also finds acts that concerned that person."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    store_id: UUID | None = None
    session_id: UUID | None = None
    ip_index: bytes | None = None
    action: str | None = None
    success: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def spelled(self) -> str:
        """The filter as a text, which a cursor is bound to."""
        return repr(self)


def retention() -> timedelta:
    """How long security logs are kept: the policy's 180 days."""
    return lotpro_policy.policy().retention["security_logs"].duration


def expiry_id(day: date) -> UUID:
    """The id of the event that says that a day went: always the same, so that it is said once."""
    return uuid5(NOBODY, f"{EXPIRE}:{day.isoformat()}")


def claim_days() -> int:
    """How many days the ids of events that came are remembered: until the log would refuse them as too old.

    An event may have been AHEAD of our clock when it came. One that comes again is either known or refused, so it is
    never written twice.
    """
    return retention().days + 2 * AHEAD.days


def check(event: SecurityEvent) -> None:
    """Raises EventUnreadable when names and ids are not spelled as they are."""
    spelled = "|".join(
        (
            event.action, event.actor_kind, event.subject_kind, event.concerned_kind, event.actor_name, event.actor_id,
            event.subject_id, event.concerned_id, event.org_id, event.store_id, event.session_id,
        )
    )
    if _SPELLING.fullmatch(spelled) is None or len(event.action) > _LONGEST_ACTION:
        raise EventUnreadable


def cut(text: str) -> str:
    """A text that somebody else chose, no longer than the log keeps it."""
    return text[:_LONGEST_TEXT]


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


@dataclass(frozen=True, slots=True)
class Reach:
    """The days that the log takes events of at a moment."""

    oldest: date
    newest: datetime

    @classmethod
    def at(cls, now: datetime) -> "Reach":
        """The reach at a moment."""
        return cls(oldest_day(now), now + AHEAD)

    def day_of(self, event: SecurityEvent) -> date:
        """The day an event belongs to, in UTC; raises EventOutOfRange."""
        day = event.occurred_at.astimezone(UTC).date()
        if day < self.oldest or event.occurred_at > self.newest:
            raise EventOutOfRange
        return day


def day_of(event: SecurityEvent, *, now: datetime) -> date:
    """The day an event belongs to, in UTC; raises EventOutOfRange."""
    return Reach.at(now).day_of(event)


class Ocsf(NamedTuple):
    """Open Cybersecurity Schema Framework 1.x: a class and its name."""

    class_uid: int
    class_name: str


_FINDING = Ocsf(2004, "Detection Finding")
_ACCOUNT = Ocsf(3001, "Account Change")
_AUTHENTICATION = Ocsf(3002, "Authentication")
_AUTHORIZE = Ocsf(3003, "Authorize Session")
_ENTITY = Ocsf(3004, "Entity Management")
_ACCESS = Ocsf(3005, "User Access Management")
_WEB = Ocsf(6001, "Web Resources Activity")
_API_ACTIVITY = Ocsf(6003, "API Activity")

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
    "audit:page": _WEB,
    "audit:alert": _ENTITY,
    "audit:stream": _ENTITY,
    "audit:usage": _ENTITY,
}
_ACTIONS: dict[str, Ocsf] = {
    "identity:session:refresh_reuse": _FINDING,
    "identity:session:suspicious": _FINDING,
    "identity:session:switch": _AUTHORIZE,
    "identity:factor:send_code": _AUTHENTICATION,
    "identity:federation:link": _ACCOUNT,
    "identity:organisation:transfer": _ACCESS,
    "audit:log:damage": _FINDING,
    "audit:alert:raise": _FINDING,
}

#: Activities of a class, by the verb; what is not here is "Other" (99).
_OTHER = 99
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_CRUD = {
    **dict.fromkeys(
        ("add", "create_token", "create", "open", "trust", "schedule", "sell", "append", "place", "record", "finish"),
        _CREATE,
    ),
    **dict.fromkeys(("view", "list", "export", "read", "answer", "summarise", "prove", "download"), _READ),
    **dict.fromkeys(("update", "rename", "extend", "release", "pause", "resume", "rotate"), _UPDATE),
    **dict.fromkeys(("remove", "delete", "revoke", "revoke_token", "expire", "erase", "cancel"), _DELETE),
}
_ACTIVITIES: dict[Ocsf, dict[str, int]] = {
    _FINDING: {"refresh_reuse": 1, "suspicious": 1, "damage": 1, "raise": 1},
    _ACCOUNT: {
        "sign_up": 1, "reopen": 2, "change": 3, "reset": 4, "close": 5, "delete": 6, "anonymise": 6, "lock": 9,
        "enrol": 10, "remove": 11,
    },
    _AUTHENTICATION: {"create": 1, "revoke": 2, "step_up": 1},
    _AUTHORIZE: {"switch": 1},
    _ACCESS: {
        "invite": 1, "join": 1, "provision": 1, "resume": 1, "open": 1, "uninvite": 2, "remove": 2, "suspend": 2,
        "deprovision": 2, "close": 2,
    },
    _ENTITY: _CRUD,
    _WEB: _CRUD,
    _API_ACTIVITY: _CRUD,
}


@lru_cache(1024)
def ocsf(action: str) -> Ocsf:
    """The OCSF class of an action `service:noun:verb`."""
    return _ACTIONS.get(action) or _NOUNS.get(action.rpartition(":")[0], _API_ACTIVITY)


@lru_cache(1024)
def activity(action: str) -> int:
    """The OCSF activity of an action within its class; 99 (Other) where the class has no name for it."""
    return _ACTIVITIES[ocsf(action)].get(action.rpartition(":")[2], _OTHER)
