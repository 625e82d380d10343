"""Who is asking: the one value that authorisation, row-level security and the security log all read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

import lotpro_policy

ALL_STORES = "*"

Kind = Literal["anonymous", "user", "service", "system"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from. Personal data: sealed before it leaves the process."""

    ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated (or explicitly anonymous) party.

    `stores` is what row-level security lets through: None for every store of the organisation, else exactly these.
    `roles` maps a store id, or `*` for the whole organisation, to role names.
    """

    kind: Kind
    user_id: UUID | None = None
    org_id: UUID | None = None
    stores: frozenset[UUID] | None = frozenset()
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    session_id: UUID | None = None
    aal: str = ""
    amr: tuple[str, ...] = ()
    #: When they last proved who they are, in epoch seconds.
    auth_time: int = 0
    #: Grows whenever what they may do changes; a token with a lower one than is known is refused.
    access_version: int = 0
    service: str = ""
    scope: str = ""
    origin: Origin = Origin()
    request_id: str = ""

    def stores_with(self, permission: str) -> frozenset[UUID] | Literal[False] | None:
        """The stores where a role of theirs grants the permission: None for all, False for nowhere.

        A permission on the organisation itself is granted only by a role that is held for all of it.
        """
        row = lotpro_policy.access().permission(permission)
        allowed = row.roles
        if self.roles.get(ALL_STORES, frozenset()) & allowed:
            return None
        if row.scope is lotpro_policy.Scope.ORGANISATION:
            return False
        stores = frozenset(UUID(store) for store, held in self.roles.items() if store != ALL_STORES and held & allowed)
        return stores or False

    def may(self, permission: str) -> bool:
        """Whether they hold the permission somewhere."""
        return self.stores_with(permission) is not False

    def narrowed(self, stores: frozenset[UUID] | None) -> "Caller":
        """The same caller, for whom only these stores exist."""
        return replace(self, stores=stores)


ANONYMOUS = Caller(kind="anonymous")


def system(org_id: UUID | None = None, *, scope: str = "") -> Caller:
    """The service itself at work for one organisation (all its stores), or for none.

    `scope` is a name that some tables' row-level security accepts, for example `relay`.
    """
    return Caller(kind="system", org_id=org_id, stores=None, scope=scope)
