"""HTTP shapes of the log."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_kit.api import Answer


class Party(Answer):
    """Who or what: a kind such as `user`, `vehicle`, `customer`, and its id."""

    kind: str = Field(examples=["user"])
    id: str


class EventAnswer(Answer):
    """One act: who, when, where, what, to what, and whether it succeeded."""

    id: UUID
    seq: int = Field(description="Its place in the log's tree, by which it is proven.")
    org_seq: int = Field(description="Its number among the organisation's own events: none is left out.")
    occurred_at: datetime
    logged_at: datetime
    action: str = Field(examples=["inventory:vehicle:sell"])
    outcome: str = Field(examples=["success"])
    actor: Party
    subject: Party | None
    concerned: Party | None
    store_id: UUID | None
    session_id: str
    factor: str
    feature: str = Field(description="The page or feature that was looked at, for page views.")
    ip: str
    user_agent: str
    changed_fields: list[str]
    request_id: str
    trace_id: str
    ocsf_class_uid: int = Field(description="Class of the Open Cybersecurity Schema Framework.")
    ocsf_class_name: str
    ocsf_activity_id: int


class Events(Answer):
    """A page of the log, newest first."""

    items: list[EventAnswer]
    next_cursor: str | None


class ProofAnswer(Answer):
    """What proves that an event is in the log, as in a line of an export, and the checkpoint that it leads to."""

    leaf: str = Field(description="The event's leaf, exactly as it is hashed.")
    seq: int
    size: int = Field(description="Of the tree that it is proved to be in.")
    proof: list[str] = Field(description="The inclusion proof (RFC 6962, 2.1.1), from the leaf up; base64.")
    checkpoint: str = Field(description="The signed checkpoint of that tree.")
    origin_key: str | None = Field(description="The event's own key: opens `origin` in its leaf, nothing else. Base64.")
    ip: str | None
    user_agent: str | None
