"""HTTP shapes of provisioning: tokens in lotPro's own way, users in SCIM's."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from lotpro_identity.organisations.domain import Role
from lotpro_identity.provisioning.domain import MAX_TOKEN_DAYS, PATCH_SCHEMA, USER_SCHEMA
from lotpro_kit.api import Answer, Body


class NewToken(Body):
    """A token for the organisation's directory, and what the people it provisions become."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Entra ID"])]
    role: Role = Field(examples=["sales"])
    store_id: UUID
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_TOKEN_DAYS)] = 180


class TokenAnswer(Answer):
    """A token without what opens anything."""

    id: UUID
    name: str
    role: Role
    store_id: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class TokenCreated(TokenAnswer):
    """A new token."""

    token: str = Field(description="Shown this once.")


class Tokens(Answer):
    """The organisation's tokens, oldest first."""

    items: list[TokenAnswer]


class ScimMessage(BaseModel):
    """A SCIM body. Attributes are read without regard to case and unknown ones ignored, so it stays open."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def content(self) -> dict[str, Any]:
        """All of it, as it was sent."""
        return dict(self.model_extra or {})


class ScimUserBody(ScimMessage):
    """A user: `userName`, `emails`, `externalId`, `name`, `displayName`, `active`."""

    model_config = ConfigDict(
        extra="allow", frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "schemas": [USER_SCHEMA], "userName": "sam.ortega@prairie-motors.com", "externalId": "00u1b2c3",
                    "name": {"givenName": "Sam", "familyName": "Ortega"}, "active": True,
                    "emails": [{"value": "sam.ortega@prairie-motors.com", "type": "work", "primary": True}],
                }
            ]
        },
    )


class ScimPatchBody(ScimMessage):
    """`Operations`, each with `op`, `path` and `value`."""

    model_config = ConfigDict(
        extra="allow", frozen=True,
        json_schema_extra={
            "examples": [
                {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "replace", "path": "active", "value": False}]}
            ]
        },
    )


class ScimName(Answer):
    """The parts of a name."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, populate_by_name=True)

    formatted: str | None = None
    given_name: str | None = Field(default=None, serialization_alias="givenName")
    family_name: str | None = Field(default=None, serialization_alias="familyName")


class ScimEmail(Answer):
    """An address."""

    value: str
    type: str = "work"
    primary: bool = True


class ScimMeta(Answer):
    """What RFC 7643, 3.1 wants to be told of every resource."""

    resource_type: str = Field(default="User", serialization_alias="resourceType")
    created: datetime
    last_modified: datetime = Field(serialization_alias="lastModified")
    location: str


class ScimUser(Answer):
    """A user."""

    schemas: tuple[str, ...] = (USER_SCHEMA,)
    id: UUID
    external_id: str | None = Field(default=None, serialization_alias="externalId")
    user_name: str = Field(serialization_alias="userName")
    name: ScimName
    display_name: str = Field(serialization_alias="displayName")
    emails: list[ScimEmail]
    active: bool
    meta: ScimMeta


class ScimUsers(Answer):
    """A page of users."""

    schemas: tuple[str, ...] = ("urn:ietf:params:scim:api:messages:2.0:ListResponse",)
    total_results: int = Field(serialization_alias="totalResults")
    start_index: int = Field(serialization_alias="startIndex")
    items_per_page: int = Field(serialization_alias="itemsPerPage")
    resources: list[ScimUser] = Field(serialization_alias="Resources")


class ScimError(Answer):
    """A refusal (RFC 7644, 3.12); `detail` begins with our own stable code."""

    schemas: tuple[str, ...] = ("urn:ietf:params:scim:api:messages:2.0:Error",)
    status: str
    scim_type: str | None = Field(default=None, serialization_alias="scimType")
    detail: str
