"""Who of the platform may ask for access, how long it lasts; pure."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cached_property
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors

#: A glance and a phone call; whoever needs longer gives the reason again.
LONGEST = timedelta(hours=1)


class NotStaff(errors.Forbidden):
    """The caller is not one of the platform's people."""

    code = "identity.not_staff"
    message = "Only the platform's own staff may do this."


class MemberHere(errors.Conflict):
    """Staff who work for the dealer too use what they are there."""

    code = "identity.member_here"
    message = "You are a member of this organisation; no access beyond that is given."


class Staff:
    """The platform's own people and what they are, as whoever deploys says it."""

    def __init__(self, entries: Callable[[], Iterable[str]]) -> None:
        """`entries` answers `<account id>:<platform role>` each; anything else raises ValueError on first use."""
        self._entries = entries

    @cached_property
    def _roles(self) -> dict[UUID, str]:
        roles = {}
        for entry in self._entries():
            account_id, _, role = entry.partition(":")
            if role not in lotpro_policy.access().platform_roles:
                raise ValueError(f"not a platform role: {role!r}")
            roles[UUID(account_id)] = role
        return roles

    def role_of(self, account_id: UUID | None) -> str | None:
        """What somebody is on the platform; None for everybody else."""
        return self._roles.get(account_id) if account_id else None
