"""Who may change whose roles; pure."""

from collections.abc import Collection
from uuid import UUID

from lotpro_identity.organisations.domain import ORGANISATION_ROLES, MayNotGrant, Role, check_grant
from lotpro_kit import errors

#: A role and its store; without one it is a role in the whole organisation.
Held = tuple[Role, UUID | None]


class OwnRoles(errors.Conflict):
    """Nobody changes what they are themselves; leaving and transferring are acts of their own."""

    code = "identity.own_roles"
    message = "You cannot change your own roles."


def roles_after(held: Collection[Held], wanted: Collection[Held], *, stores: frozenset[UUID] | None) -> set[Held]:
    """What somebody is after a caller who answers for `stores` (None: for all) said what they are to be there.

    Roles out of the caller's reach stay. Raises RoleNeedsStore, MayNotGrant.
    """
    for role, store_id in wanted:
        check_grant(role, store_id, whole_organisation=stores is None)
    if stores is None:
        return set(wanted)
    reach = {entry for entry in held if entry[1] in stores}
    taken = reach - set(wanted)
    if any(role is Role.STORE_ADMIN or role in ORGANISATION_ROLES for role, _ in taken):
        raise MayNotGrant
    if any(store_id not in stores for _, store_id in wanted):
        raise errors.NotFound
    return (set(held) - reach) | set(wanted)
