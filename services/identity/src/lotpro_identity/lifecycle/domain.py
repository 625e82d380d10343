"""When unused accounts are warned about and anonymised, closed ones deleted, and who may remove whose; pure."""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors

#: A person whose account an administrator deletes is told by e-mail. The address is copied nowhere for it: the deletion
#: waits this long, in which notifications asks for it. The account is of no use from the first moment on.
NOTICE = timedelta(minutes=10)

DAY = timedelta(days=1)


class OwnAccount(errors.Conflict):
    """One's own account is closed, not removed: that can be taken back."""

    code = "identity.own_account"
    message = "This is your own account. Close it instead."


class MemberElsewhere(errors.Conflict):
    """The person works in another organisation too, which has a say in it."""

    code = "identity.member_elsewhere"
    message = "This person also belongs to another organisation, so only they can delete the account."


class MemberOutOfReach(errors.Conflict):
    """The person has a role that the caller has no say about."""

    code = "identity.member_out_of_reach"
    message = "This person has a role outside of the stores you administer. Ask an owner."


def inactive_period() -> timedelta:
    """How long an account may be unused: the policy's 180 days."""
    return lotpro_policy.policy().retention["inactive_accounts"].duration


def undo_period() -> timedelta:
    """How long a closing can be taken back: the policy's "30 days after deletion request"."""
    return lotpro_policy.policy().retention["account_information"].duration


def warnings() -> tuple[int, ...]:
    """Days before the anonymisation on which there is a warning, the first one first."""
    return tuple(sorted(lotpro_policy.policy().clocks.inactivity_warning_days, reverse=True))


def is_inactive(last_active: datetime, *, as_of: datetime) -> bool:
    """Whether an account is to be anonymised: from the very moment the period is over, not before."""
    return as_of - last_active >= inactive_period()


def warning_due(last_active: datetime, *, as_of: datetime) -> int | None:
    """Which of the warnings is due, the latest one; None before the first and once it is too late for any."""
    left = last_active + inactive_period() - as_of
    if left <= timedelta():
        return None
    return min((days for days in warnings() if left <= days * DAY), default=None)


def days_left(last_active: datetime, *, as_of: datetime) -> int:
    """Days until the anonymisation, begun ones counted whole."""
    return math.ceil((last_active + inactive_period() - as_of) / DAY)


def check_reach(
    memberships: Iterable[tuple[UUID, UUID | None, str]],
    *,
    org_id: UUID,
    stores: frozenset[UUID] | None,
    reserved: frozenset[str],
) -> None:
    """Refuse to remove a person whom the caller does not answer for alone.

    `memberships` are (organisation, store, role); `stores` are the caller's, None for the whole organisation; only who
    has that may remove people with `reserved` roles. Raises NotFound for somebody the caller does not see,
    MemberElsewhere and MemberOutOfReach.
    """
    held = list(memberships)
    ours = [(store_id, role) for org, store_id, role in held if org == org_id]
    if not any(stores is None or store_id in stores for store_id, _ in ours):
        raise errors.NotFound
    if len(ours) < len(held):
        raise MemberElsewhere
    if stores is not None and any(store_id not in stores or role in reserved for store_id, role in ours):
        raise MemberOutOfReach
