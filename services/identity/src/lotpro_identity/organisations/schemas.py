"""HTTP shapes of organisations."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from lotpro_identity.accounts.schemas import Email, Name, Password
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
    stores: list[StoreAnswer]


class MemberRole(Answer):
    """A role, in a store or, without one, in the whole organisation."""

    role: Role
    store_id: UUID | None


class MemberAnswer(Answer):
    """A member and what they are."""

    user_id: UUID
    name: str
    email: str
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


class AcceptInvitation(Body):
    """The token from the e-mail; a newcomer's name and password, or the password of the account there is."""

    token: Annotated[str, Field(min_length=40, max_length=100)]
    name: Name
    password: Password
