"""HTTP shapes of organisations."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from lotpro_identity.accounts.schemas import Email, Name, NewOrganisation, NewStore, Password
from lotpro_identity.organisations.domain import Role
from lotpro_kit.api import Answer, Body


class StoreAnswer(Answer):
    """A store."""

    id: UUID
    name: str
    time_zone: str


class OrganisationAnswer(Answer):
    """An organisation and its stores."""

    id: UUID
    name: str
    allow_sms_factor: bool
    allow_email_factor: bool
    suspended: bool = Field(description="Whether nobody but its owners is anything there for now.")
    stores: list[StoreAnswer]


class OwnOrganisation(Answer):
    """An organisation one can be at work in."""

    id: UUID
    name: str
    current: bool


class OpenOrganisation(Body):
    """Another organisation and its first store."""

    organisation: NewOrganisation
    store: NewStore


class OwnOrganisations(Answer):
    """One's organisations, the one joined first first; `POST /sessions:switch` goes from one to another."""

    items: list[OwnOrganisation]


class UpdateOrganisation(Body):
    """What to change of an organisation; what is left out stays."""

    name: Name | None = Field(default=None, examples=["Prairie Motor Group"])
    allow_sms_factor: bool | None = Field(
        default=None, description="Whether its people may get sign-in codes by SMS.", examples=[False]
    )
    allow_email_factor: bool | None = Field(
        default=None, description="Whether its people may get sign-in codes by e-mail.", examples=[False]
    )


class MemberRole(Answer):
    """A role, in a store or, without one, in the whole organisation."""

    role: Role
    store_id: UUID | None


class MemberAnswer(Answer):
    """A member and what they are."""

    user_id: UUID
    name: str
    email: str
    #: `If-Match` of setting their roles.
    version: int
    suspended: bool
    roles: list[MemberRole]


class Members(Answer):
    """The members of an organisation that the caller may see."""

    items: list[MemberAnswer]


class Invite(Body):
    """Whom to invite, as what, where."""

    email: Email
    role: Role = Field(examples=["sales"])
    store_id: UUID | None = Field(default=None, description="Left out for roles in the whole organisation.")


class InvitationAnswer(Answer):
    """An invitation that is on its way."""

    id: UUID


class PendingInvitation(Answer):
    """An invitation that nobody has accepted."""

    id: UUID
    email: str
    role: Role
    store_id: UUID | None
    invited_at: datetime
    expires_at: datetime | None = Field(description="Empty when it has expired; send it again.")


class Invitations(Answer):
    """The invitations that the caller may see, newest first."""

    items: list[PendingInvitation]


class AcceptInvitation(Body):
    """The token from the e-mail; a newcomer's name and password, or the password of the account there is."""

    token: Annotated[str, Field(min_length=40, max_length=100)]
    name: Name
    password: Password
