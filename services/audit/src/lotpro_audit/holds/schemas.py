"""HTTP shapes of holds."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from lotpro_audit.events.schemas import EventAnswer
from lotpro_audit.holds.domain import Hold, State
from lotpro_audit.texts import Moment, readable
from lotpro_kit.api import Answer, Body


class PlaceHold(Body):
    """What is to be kept, why, on whose order, and until when. Without a store, a person or a time: all there is."""

    store_id: UUID | None = None
    person_id: UUID | None = Field(default=None, description="Acts by this person, on them, and concerning them.")
    since: Moment | None = None
    until: Moment | None = Field(default=None, description="Only what happened before then.")
    reason: Annotated[
        str,
        Field(min_length=10, max_length=500, examples=["Preservation letter of 2 November in case 26-1187"]),
        AfterValidator(readable),
    ]
    authority: Annotated[
        str, Field(min_length=2, max_length=200, examples=["District Court of Lancaster County"]),
        AfterValidator(readable),
    ]
    ends_at: Moment | None = Field(default=None, description="When the hold ends by itself; without it, on release.")


class HoldAnswer(Answer):
    """A legal hold.

    It keeps what the log still had when it was placed, and all that came since. It cannot bring back what went before.
    """

    id: UUID
    state: State
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
    first_day: date = Field(
        description="The oldest day the log had when the hold was placed. What went before is kept only as far as an"
        " earlier hold keeps it."
    )
    days_gone: int = Field(
        description="How many days of the time that the hold reaches had gone before it was placed: these do not come"
        " back."
    )
    version: int = Field(examples=[1])


class Holds(Answer):
    """A page of holds, newest first."""

    items: list[HoldAnswer]
    next_cursor: str | None


class HeldEvent(Answer):
    """An event that a hold reaches, with the proof (RFC 6962) that it is in the log as it was written."""

    event: EventAnswer
    leaf: str = Field(description="The leaf's text, exactly: SHA-256 of a zero byte and its UTF-8 is the leaf's hash.")
    proof: list[str] = Field(description="Inclusion proof of leaf `seq` in the tree of `tree_size`, base64.")
    tree_size: int
    checkpoint: str = Field(description="The signed note (C2SP) that names the root of that tree.")
    origin_key: str | None = Field(description="Opens the leaf's `origin` (AES-256-GCM, base64); null when destroyed.")
    expired_day: date | None = Field(description="The day that the event outlived; null while the log still has it.")


class HeldEvents(Answer):
    """A page of what a hold reaches, oldest first."""

    items: list[HeldEvent]
    next_cursor: str | None


def hold(found: Hold, *, now: datetime) -> HoldAnswer:
    """A hold as it is answered."""
    return HoldAnswer(
        state=found.state(now),
        **{name: getattr(found, name) for name in HoldAnswer.model_fields if name != "state"},
    )
