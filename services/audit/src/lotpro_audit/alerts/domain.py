"""What an alert watches for, and when it is raised; pure. Times are microseconds since 1970."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from lotpro_audit.events.leaf import Leaf
from lotpro_kit import errors

#: An organisation's alerts; each costs a look at each of its events.
MOST_ALERTS = 50
#: Events and minutes of a threshold, and minutes of quiet: an alert looks back a day at most, and is quiet for a week.
MOST_COUNT, MOST_MINUTES, MOST_QUIET_MINUTES = 500, 1440, 10_080
#: What says that an alert was raised raises none, or an alert on everything would raise itself for ever.
RAISE = "audit:alert:raise"
#: Windows and raised alerts are forgotten when nothing in them can matter any more: late events come within a day.
WINDOWS_KEPT = timedelta(minutes=2 * MOST_MINUTES) + timedelta(days=1)

_MINUTE = 60_000_000


class TooManyAlerts(errors.Conflict):
    """The organisation has MOST_ALERTS alerts."""

    code = "audit.too_many_alerts"
    message = "There are as many alerts as an organisation can have. Delete one first."


class Group(StrEnum):
    """Whose events are counted together."""

    ORGANISATION = "organisation"
    ACTOR = "actor"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of alerts: events that match are counted `per` group, and `count` of them within `minutes` raise it.

    None matches everything. `action` is an action or its first parts (`identity`, `identity:session`); `subject_id` is
    also found where an act concerned that person.
    """

    id: UUID
    org_id: UUID
    name: str
    action: str | None
    success: bool | None
    actor_id: UUID | None
    subject_id: UUID | None
    store_id: UUID | None
    factor: str | None
    count: int
    minutes: int
    per: Group
    quiet_minutes: int
    recipients: Sequence[str]
    raised_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime

    def matches(self, leaf: Leaf) -> bool:
        """Whether an event is one that is counted."""
        wanted = self.action
        return (
            leaf.action != RAISE
            and (wanted is None or leaf.action == wanted or leaf.action.startswith(wanted + ":"))
            and self.success in (None, leaf.success)
            and self.factor in (None, leaf.factor)
            and _is(self.actor_id, leaf.actor_id)
            and (_is(self.subject_id, leaf.subject_id) or _is(self.subject_id, leaf.concerned_id))
            and _is(self.store_id, leaf.store_id)
        )

    def key_of(self, leaf: Leaf) -> str | None:
        """Which events it is counted with; None for one that has no actor or address to be counted by."""
        match self.per:
            case Group.ORGANISATION:
                return ""
            case Group.ACTOR:
                return leaf.actor_id or None
            case Group.ADDRESS:
                return leaf.ip_index.hex() or None


def _is(wanted: UUID | None, found: str) -> bool:
    return wanted is None or str(wanted) == found


@dataclass(frozen=True, slots=True)
class Raised:
    """A raised alert: the event that raised it, and how many of its kind came within the minutes before it."""

    id: UUID
    org_id: UUID
    alert_id: UUID
    event_id: UUID
    seq: int
    count: int
    raised_at: datetime


@dataclass(slots=True)
class Watch:
    """An alert at work: what it has counted so far, by group, and when it was raised last."""

    alert: Alert
    windows: dict[str, list[int]]
    raised_us: int | None
    #: Groups whose window is no longer as it was read.
    touched: set[str] = field(default_factory=set)

    def see(self, leaf: Leaf) -> Raised | None:
        """Count an event, in the log's order; answers the raised alert when it is the one too many.

        An event that comes so late that it is older than the minutes before the newest one stands for itself. In the
        quiet time after a raise, and before it, nothing is raised.
        """
        alert = self.alert
        if not alert.matches(leaf):
            return None
        key = alert.key_of(leaf)
        if key is None:
            return None
        window, moment = self.windows.setdefault(key, []), leaf.occurred_us
        if window and moment < window[-1] - alert.minutes * _MINUTE:
            crossed, found = alert.count == 1, 1
        else:
            crossed, found = count(window, moment, wanted=alert.count, within=alert.minutes * _MINUTE)
            self.touched.add(key)
        if not crossed or (self.raised_us is not None and moment < self.raised_us + alert.quiet_minutes * _MINUTE):
            return None
        self.raised_us = moment
        return Raised(
            id=uuid5(alert.id, f"{alert.version}:{leaf.seq}"), org_id=alert.org_id, alert_id=alert.id,
            event_id=UUID(leaf.id), seq=leaf.seq, count=found, raised_at=leaf.occurred_at,
        )


def count(window: list[int], moment: int, *, wanted: int, within: int) -> tuple[bool, int]:
    """Add a moment to a sorted window; whether `wanted` of its moments, with this one, lie `within` each other.

    Also answers how many lie between it and `within` before it, or `wanted` if that is more. The window keeps what may
    still matter: what is younger than twice `within`, and of it the newest 2 * `wanted`. An event that comes later is
    `within` the newest one; either `wanted` younger ones are kept, and then it is one too many with these, or it is
    among them with as many on either side as can matter.
    """
    insort(window, moment)
    at = bisect_left(window, moment)
    crossed = any(
        window[first + wanted - 1] - window[first] <= within
        for first in range(max(0, at - wanted + 1), min(at, len(window) - wanted) + 1)
    )
    found = at + 1 - bisect_left(window, moment - within)
    oldest = max(bisect_left(window, window[-1] - 2 * within), len(window) - 2 * wanted)
    del window[:max(0, oldest)]
    return crossed, max(found, wanted) if crossed else found


def merged(alert: Alert, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the changes that change something."""
    return {name: value for name, value in changes.items() if getattr(alert, name) != value}
