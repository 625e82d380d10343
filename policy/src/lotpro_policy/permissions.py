"""Owns the permission table: which role may do what, and how far that reaches."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from lotpro_policy import sources
from lotpro_policy.record import Record

PermissionName = Annotated[str, StringConstraints(pattern=r"^[a-z]+:[a-z]+:[a-z_]+$")]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]


class UnknownPermission(LookupError):
    """No such permission is in the table; a door that asks for it is wrong."""


class Scope(StrEnum):
    """How far a permission reaches."""

    ORGANISATION = "organisation"
    STORE = "store"
    OWN = "own"


class Permission(Record):
    """One row of the table."""

    roles: frozenset[RoleName]
    scope: Scope
    about: str


class _Row(Record):
    roles: Literal["everyone"] | Annotated[list[RoleName], Field(min_length=1)]
    scope: Scope
    about: str


class Access(Record):
    """The permission table; `roles` and `platform_roles` map each role to what it is for."""

    roles: Mapping[RoleName, str]
    platform_roles: Mapping[RoleName, str]
    permissions: Mapping[PermissionName, Permission]

    def permission(self, name: str) -> Permission:
        """The row of this permission; raises UnknownPermission."""
        try:
            return self.permissions[name]
        except KeyError:
            raise UnknownPermission(name) from None

    def roles_for(self, permission: str) -> frozenset[str]:
        """The roles that grant this permission; raises UnknownPermission."""
        return self.permission(permission).roles

    def scope_of(self, permission: str) -> Scope:
        """How far this permission reaches; raises UnknownPermission."""
        return self.permission(permission).scope

    @model_validator(mode="after")
    def _roles_exist(self) -> Self:
        declared = {*self.roles, *self.platform_roles}
        unknown = {role for row in self.permissions.values() for role in row.roles} - declared
        if unknown:
            raise ValueError(f"roles that are not declared: {sorted(unknown)}")
        return self


class _Table(Record):
    roles: dict[RoleName, str]
    platform_roles: dict[RoleName, str] = Field(default_factory=dict)
    permissions: dict[PermissionName, _Row]


def parse_access(value: object) -> Access:
    """The table of a parsed access.yaml; raises pydantic.ValidationError when it is malformed."""
    table = _Table.model_validate(value)
    everyone = frozenset(table.roles)
    return Access(
        roles=table.roles,
        platform_roles=table.platform_roles,
        permissions={
            name: Permission(
                roles=everyone if row.roles == "everyone" else frozenset(row.roles), scope=row.scope, about=row.about
            )
            for name, row in table.permissions.items()
        },
    )


@cache
def access() -> Access:
    """The permission table of this release, read once."""
    return parse_access(sources.packaged_yaml("access.yaml"))
