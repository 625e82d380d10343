"""HTTP shapes of exports."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field, IPvAnyAddress

from lotpro_audit.exports.domain import Format, State
from lotpro_audit.texts import Moment
from lotpro_kit.api import Answer, Body


class ExportFilter(Body):
    """Which events: as in the list of events. Without any field, all of them."""

    actor_id: UUID | None = None
    subject_id: UUID | None = Field(None, description="What was acted on, or whom it concerned.")
    store_id: UUID | None = None
    session_id: UUID | None = None
    ip: IPvAnyAddress | None = None
    action: str | None = Field(None, max_length=96, pattern=r"^[a-z:_]*$", examples=["inventory:vehicle:sell"])
    outcome: Literal["success", "failure"] | None = None
    since: Moment | None = None
    until: Moment | None = None


class OpenExport(Body):
    """What is to be exported, and how it is spelled."""

    format: Format = Format.JSONL
    filter: ExportFilter | None = Field(None, description="All events when left out: such an export is complete.")


class ExportAnswer(Answer):
    """An export, and how far it is."""

    id: UUID
    format: Format
    filter: ExportFilter | None
    state: State
    error: str = Field(description="Why it failed, else empty.", examples=["audit.log_incomplete"])
    opened_by: UUID
    opened_at: datetime
    finished_at: datetime | None
    expires_at: datetime = Field(description="When it is destroyed.")
    events: int = Field(description="How many events it has so far.")
    total: int | None = Field(description="How many there are to be; known when it has begun.")
    percent: int = Field(ge=0, le=100)
    checkpoint_size: int | None = Field(description="Of the log's tree, against which all events are proved.")
    size: int | None = Field(description="Of the finished file, in bytes.")
    sha256: str | None = Field(description="Of the finished file, hex.")


class Exports(Answer):
    """A page of exports, newest first."""

    items: list[ExportAnswer]
    next_cursor: str | None
