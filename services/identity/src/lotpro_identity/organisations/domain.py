"""Roles, time zones and who may invite whom; pure."""

import zoneinfo
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from lotpro_kit import errors
from lotpro_kit.errors import FieldError


class Role(StrEnum):
    """What a person is in an organisation or store; what it allows stands in lotpro_policy's access table."""

    ORG_OWNER = "org_owner"
    STORE_ADMIN = "store_admin"
    MANAGER = "manager"
    SALES = "sales"
    PORTER = "porter"
    VIEWER = "viewer"
    COMPLIANCE = "compliance"


#: Roles that are held for the whole organisation.
ORGANISATION_ROLES = frozenset({Role.ORG_OWNER, Role.COMPLIANCE})


class TimeZoneUnknown(errors.Invalid):
    """The time zone is not in the IANA database."""

    code = "identity.time_zone_unknown"
    message = "This is not an IANA time zone such as America/Chicago."


class RoleNeedsStore(errors.Invalid):
    """The role is one in a store, and no store was named; or the other way round."""

    code = "identity.role_scope"
    message = "Owners and compliance officers belong to the organisation, every other role to a store."


class MayNotGrant(errors.Forbidden):
    """One may not give a role above one's own."""

    code = "identity.may_not_grant"
    message = "Only an owner may give this role."


class LastOwner(errors.Conflict):
    """The person is the only owner of an organisation in which others work."""

    code = "identity.last_owner"
    message = "Others work in your organisation. Make one of them its owner first."


class PermissionUnknown(errors.Invalid):
    """The permission is not in the table."""

    code = "identity.permission_unknown"
    message = "There is no such permission."


class AlreadyMember(errors.Conflict):
    """The person invited has this role already; said only to the inviter, who sees the members anyway."""

    code = "identity.already_member"
    message = "This person has this role already."


def check_time_zone(name: str) -> None:
    """Refuse what is no time zone; raises TimeZoneUnknown."""
    if name not in zoneinfo.available_timezones():
        wrong = FieldError("/body/store/time_zone", TimeZoneUnknown.code, TimeZoneUnknown.message)
        raise TimeZoneUnknown(errors=(wrong,))


def check_grant(role: Role, store_id: UUID | None, *, whole_organisation: bool) -> None:
    """Refuse a role in the wrong scope, and an organisation's role from somebody who holds stores only."""
    if (role in ORGANISATION_ROLES) != (store_id is None):
        raise RoleNeedsStore
    if (role in ORGANISATION_ROLES or role is Role.STORE_ADMIN) and not whole_organisation:
        raise MayNotGrant


class Membership(NamedTuple):
    """What a person is in an organisation; of no use since it was suspended."""

    org_id: UUID
    store_id: UUID | None
    role: str
    suspended_at: datetime | None


def roles_claim(memberships: Iterable[tuple[UUID | None, str]]) -> dict[str, list[str]]:
    """Memberships as the access token carries them: store id, or `*` for the organisation, to roles."""
    claim: dict[str, list[str]] = {}
    for store_id, role in memberships:
        claim.setdefault(str(store_id) if store_id else "*", []).append(role)
    return claim
