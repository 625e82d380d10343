"""HTTP shapes of alerts."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

import lotpro_policy
from lotpro_audit.alerts import domain
from lotpro_audit.alerts.domain import Group
from lotpro_kit.api import Answer, Body

#: What the API calls `outcome`, `actor`, `subject` and `store` is called otherwise in the log's tables.
_COLUMNS = {"outcome": "success", "actor": "actor_id", "subject": "subject_id", "store": "store_id"}


def _roles(given: list[str]) -> list[str]:
    unknown = set(given) - lotpro_policy.access().roles.keys()
    if unknown or len(set(given)) < len(given):
        raise ValueError("must be roles of the organisation, each once")
    return given


Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Failed sign-ins"])]
Action = Annotated[
    str,
    Field(
        max_length=96, pattern=r"^[a-z]+(:[a-z_]+){0,2}$", examples=["identity:session:create"],
        description="An action, or its first parts: `identity:session`, `identity`.",
    ),
]
Outcome = Literal["success", "failure"]
Factor = Annotated[str, Field(max_length=32, pattern=r"^[a-z_]+$", examples=["totp"])]
Count = Annotated[int, Field(ge=1, le=domain.MOST_COUNT, description="So many events", examples=[5])]
Minutes = Annotated[int, Field(ge=1, le=domain.MOST_MINUTES, description="within so many minutes", examples=[10])]
Per = Annotated[Group, Field(description="of the organisation, of one actor, or from one address.")]
Quiet = Annotated[
    int,
    Field(ge=1, le=domain.MOST_QUIET_MINUTES, description="Minutes in which it is not raised again.", examples=[60]),
]
Recipients = Annotated[
    list[str], Field(min_length=1, max_length=10, description="Roles of those who are told.", examples=[["org_owner"]]),
    AfterValidator(_roles),
]


class AddAlert(Body):
    """What to watch for (what is left out matches everything), how much of it, and who is told."""

    name: Name
    action: Action | None = None
    outcome: Outcome | None = None
    actor: UUID | None = None
    subject: UUID | None = None
    store: UUID | None = None
    factor: Factor | None = None
    count: Count = 1
    minutes: Minutes = 10
    per: Per = Group.ORGANISATION
    quiet_minutes: Quiet = 60
    recipients: Recipients

    def settings(self) -> dict[str, Any]:
        """As the fields of an alert."""
        return _settings(self.model_dump())


class UpdateAlert(Body):
    """A change (RFC 7396): what is left out stays, null takes a condition away."""

    name: Name = ""
    action: Action | None = None
    outcome: Outcome | None = None
    actor: UUID | None = None
    subject: UUID | None = None
    store: UUID | None = None
    factor: Factor | None = None
    count: Count = 1
    minutes: Minutes = 1
    per: Per = Group.ORGANISATION
    quiet_minutes: Quiet = 1
    recipients: Recipients = Field(default_factory=list)

    def changes(self) -> dict[str, Any]:
        """What was given, as the fields of an alert."""
        return _settings(self.model_dump(exclude_unset=True))


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("outcome") is not None:
        given["outcome"] = given["outcome"] == "success"
    return {_COLUMNS.get(name, name): value for name, value in given.items()}


class Alert(Answer):
    """An alert on the organisation's log."""

    id: UUID
    name: str
    action: str | None
    outcome: str | None
    actor: UUID | None
    subject: UUID | None
    store: UUID | None
    factor: str | None
    count: int
    minutes: int
    per: Group
    quiet_minutes: int
    recipients: list[str]
    raised_at: datetime | None = Field(description="When it was raised last.")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="As in the ETag.")


class Alerts(Answer):
    """Alerts, the newest first."""

    items: list[Alert]
    next_cursor: str | None


class Raised(Answer):
    """An alert that was raised."""

    id: UUID
    raised_at: datetime = Field(description="When the event that raised it happened.")
    event_id: UUID
    seq: int = Field(description="That event's place in the log.")
    count: int = Field(description="How many such events came within the minutes.")


class RaisedAlerts(Answer):
    """What an alert raised, the newest first."""

    items: list[Raised]
    next_cursor: str | None


def alert(row: domain.Alert) -> Alert:
    """An alert as it is shown."""
    outcome = {True: "success", False: "failure", None: None}[row.success]
    return Alert(
        id=row.id, name=row.name, action=row.action, outcome=outcome, actor=row.actor_id, subject=row.subject_id,
        store=row.store_id, factor=row.factor, count=row.count, minutes=row.minutes, per=row.per,
        quiet_minutes=row.quiet_minutes, recipients=list(row.recipients), raised_at=row.raised_at,
        created_at=row.created_at, updated_at=row.updated_at, version=row.version,
    )


def raised(row: domain.Raised) -> Raised:
    """A raised alert as it is shown."""
    return Raised(id=row.id, raised_at=row.raised_at, event_id=row.event_id, seq=row.seq, count=row.count)
