"""HTTP shapes of federation."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from lotpro_identity.accounts.schemas import Email
from lotpro_identity.organisations.domain import Role
from lotpro_identity.sessions.schemas import Transport
from lotpro_kit.api import Answer, Body

#: A class of authentication as the provider names it; a URN or a URL, never with a space.
AcrValue = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]


class Configure(Body):
    """The organisation's OpenID provider, and what signing in with it comes to."""

    issuer: Annotated[str, Field(min_length=1, max_length=512, examples=["https://login.prairie-motors.com"])]
    client_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", examples=["lotpro"])]
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Left out, the present one stays; a new issuer or client needs its own."
    )
    jit_role: Role | None = Field(
        default=None, description="What newcomers from verified domains become; without it nobody does."
    )
    store_id: UUID | None = Field(default=None, description="Where they become that.")
    honour_mfa: bool = Field(default=False, description="The provider's second factor is enough; else ours is asked.")
    mfa_acr_values: Annotated[list[AcrValue], Field(max_length=5)] = Field(
        default=[], description="Classes (`acr`) that mean a second factor at this provider, besides `amr`."
    )


class ProviderAnswer(Answer):
    """The organisation's provider; its secret is never told."""

    issuer: str
    client_id: str
    redirect_uri: str = Field(description="What the provider is to be told to accept.")
    jit_role: Role | None
    store_id: UUID | None
    honour_mfa: bool
    mfa_acr_values: list[str]


class DomainAnswer(Answer):
    """A domain; `token` is to stand at `url` until it is verified."""

    domain: str
    token: str
    url: str
    verified_at: datetime | None


class FederationAnswer(Answer):
    """The organisation's provider, if it has one, and its domains."""

    provider: ProviderAnswer | None
    domains: list[DomainAnswer]


class NewDomain(Body):
    """A domain of the organisation's addresses."""

    domain: Annotated[str, Field(min_length=3, max_length=253, examples=["prairie-motors.com"])]


class StartSso(Body):
    """Somebody's address, or their organisation."""

    email: Email | None = None
    organisation_id: UUID | None = None
    fresh: bool = Field(default=False, description="Let the provider ask again who it is, as sensitive acts want.")
    transport: Transport = Transport.BODY

    @model_validator(mode="after")
    def _one_way_in(self) -> "StartSso":
        if (self.email is None) == (self.organisation_id is None):
            raise ValueError("Send email or organisation_id.")
        return self


class SsoStarted(Answer):
    """Where the browser goes."""

    authorization_url: str
