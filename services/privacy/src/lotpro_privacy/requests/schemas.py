"""HTTP shapes of requests."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from lotpro_kit.api import Answer, Body
from lotpro_privacy.requests.domain import Kind, State, SubjectKind


class SubjectBody(Body):
    """Whose data it is about: a customer of the dealer, or a person with an account."""

    kind: SubjectKind
    id: UUID
    email: Annotated[str, Field(max_length=254, pattern=r"^([^@\s]+@[^@\s]+)?$"), AfterValidator(str.lower)] = Field(
        default="", description="When known; otherwise the service that knows the person is asked for it."
    )


class OpenRequest(Body):
    """A right that a person uses."""

    kind: Kind = Field(examples=["access"])
    subject: SubjectBody


class TaskAnswer(Answer):
    """How far one service is."""

    service: str
    done: bool
    attempts: int
    error: str
    counts: dict[str, int]


class RequestAnswer(Answer):
    """A case: its clock and how far every service is."""

    id: UUID
    kind: Kind
    subject_kind: SubjectKind
    subject_id: UUID
    state: State
    received_at: datetime
    due_on: date
    answered_at: datetime | None
    services: list[TaskAnswer]


class Requests(Answer):
    """A page of cases, newest first."""

    items: list[RequestAnswer]
    next_cursor: str | None


class Collected(Answer):
    """What every service holds about the person, and what the law wants told with it."""

    request_id: UUID
    received_at: datetime
    due_on: date
    subject: dict[str, str]
    services: dict[str, dict[str, list[dict[str, Any]]]] = Field(description="service -> table -> records")
    described: dict[str, list[dict[str, str]]] = Field(
        description="service -> each column it keeps about people, with its purpose, lawful basis and retention"
    )
    policy_version: str
    policy_sha256: str
    purposes: dict[str, Any]
    retention: dict[str, Any]
    processors: dict[str, Any]
    rights: dict[str, Any]
