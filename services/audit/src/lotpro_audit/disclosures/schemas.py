"""HTTP shapes of the register of disclosures."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from lotpro_audit.disclosures.domain import Disclosure, Given, Request
from lotpro_audit.texts import Moment, readable
from lotpro_kit.api import Answer, Body

Line = Annotated[str, Field(min_length=2, max_length=200), AfterValidator(readable)]


class DisclosedEvents(Body):
    """Which events were handed over: those of a hold, those that a filter of the log finds, or of both.

    Without any of it: the whole log of the organisation.
    """

    hold_id: UUID | None = None
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    store_id: UUID | None = None
    session_id: UUID | None = None
    action: Annotated[str, Field(max_length=96, pattern=r"^[a-z:_]+$")] | None = None
    outcome: Literal["success", "failure"] | None = None
    since: Moment | None = None
    until: Moment | None = None


class RecordDisclosure(Body):
    """Who asked for what on which ground, what was handed over, and who was told."""

    requester: Annotated[Line, Field(description="Who asked.", examples=["Lancaster County Sheriff's Office"])]
    authority: Annotated[Line, Field(description="Who ordered it.", examples=["District Court of Lancaster County"])]
    legal_basis: Annotated[Line, Field(examples=["Search warrant, Nebraska Revised Statutes 29-812"])]
    reference: Annotated[
        str, Field(min_length=1, max_length=100, examples=["CI 26-1187"]), AfterValidator(readable)
    ]
    received_at: Annotated[Moment, Field(examples=["2026-11-02T15:00:00Z"])]
    events: DisclosedEvents
    event_count: int = Field(ge=0, le=10**15, examples=[1204])
    export_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="Of the file as it was handed over.",
        examples=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    )
    given_at: Annotated[Moment, Field(examples=["2026-11-03T15:00:00Z"])]
    given_by: UUID | None = Field(default=None, description="Who handed it over; without it, whoever records it.")
    person_told: bool = Field(description="Whether the people concerned were told.", examples=[True])
    untold_reason: Annotated[str, Field(min_length=5, max_length=500), AfterValidator(readable)] | None = Field(
        default=None, description="Why not, if they were not, such as an order to keep silent."
    )

    def request(self) -> Request:
        """The request as the register keeps it."""
        return Request(
            requester=self.requester, authority=self.authority, legal_basis=self.legal_basis,
            reference=self.reference, received_at=self.received_at,
        )

    def given(self) -> Given:
        """What was given as the register keeps it."""
        return Given(
            hold_id=self.events.hold_id,
            filter=self.events.model_dump(mode="json", exclude={"hold_id"}, exclude_none=True),
            event_count=self.event_count, export_sha256=bytes.fromhex(self.export_sha256), given_at=self.given_at,
            given_by=self.given_by, person_told=self.person_told, untold_reason=self.untold_reason,
        )


class DisclosureAnswer(Answer):
    """One line of the register. It is never changed."""

    id: UUID
    requester: str
    authority: str
    legal_basis: str
    reference: str
    received_at: datetime
    hold_id: UUID | None
    filter: Mapping[str, str]
    event_count: int
    export_sha256: str
    given_at: datetime
    given_by: UUID
    person_told: bool
    untold_reason: str | None
    recorded_at: datetime
    recorded_by: UUID


class Disclosures(Answer):
    """A page of the register, newest first."""

    items: list[DisclosureAnswer]
    next_cursor: str | None


def disclosure(line: Disclosure) -> DisclosureAnswer:
    """A line as it is answered."""
    fields = {name: getattr(line, name) for name in DisclosureAnswer.model_fields}
    return DisclosureAnswer(**fields | {"export_sha256": line.export_sha256.hex()})
