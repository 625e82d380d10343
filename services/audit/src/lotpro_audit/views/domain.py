"""What may be said of a page view, and what may be told of many; pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid5

from lotpro_audit.events.domain import SecurityEvent
from lotpro_kit import errors
from lotpro_kit.caller import Caller

ACTION = "audit:page:view"
#: Views in one report.
MOST_VIEWS = 50
#: A client may report a view so long after it, and its clock may be this far ahead of ours.
LATE, AHEAD = timedelta(days=1), timedelta(minutes=5)
#: A day is counted when no view of it can come any more, and what came is long written.
SETTLED = LATE + timedelta(hours=1)
#: Counts are of so many people at least: fewer could be found out.
FEWEST_PEOPLE = 10


class ViewOutOfRange(errors.Invalid):
    """A view is too old to be reported, or has not been yet."""

    code = "audit.view_out_of_range"
    message = "Report page views within a day."


@dataclass(frozen=True, slots=True)
class View:
    """A page or feature that was looked at, when, and for how long (milliseconds; 0 where that is not known)."""

    feature: str
    viewed_at: datetime
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many people used a feature on a day (UTC), how often, and for how long together."""

    day: date
    feature: str
    people: int
    uses: int
    duration_ms: int


def event(caller: Caller, view: View, *, user_id: UUID, now: datetime) -> SecurityEvent:
    """A view as the log takes it: the same one, reported again, is the same event. Raises ViewOutOfRange."""
    if not now - LATE <= view.viewed_at <= now + AHEAD:
        raise ViewOutOfRange
    viewed_at = view.viewed_at.astimezone(UTC)
    return SecurityEvent(
        id=uuid5(user_id, f"{ACTION}:{caller.session_id}:{view.feature}:{viewed_at.isoformat()}"),
        occurred_at=viewed_at, action=ACTION, success=True, actor_kind="user", actor_id=str(user_id),
        org_id=str(caller.org_id or ""), session_id=str(caller.session_id or ""), feature=view.feature,
        duration_ms=view.duration_ms, request_id=caller.request_id, origin=caller.origin,
    )


def settled_days(kept: list[date], *, as_of: datetime) -> list[date]:
    """Those of the log's days of which no view can come any more."""
    return sorted(day for day in kept if day < (as_of.astimezone(UTC) - SETTLED).date())
