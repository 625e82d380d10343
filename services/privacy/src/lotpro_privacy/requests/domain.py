"""Deadlines, who is asked first, and what a case has come to; pure."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum

import lotpro_policy
from lotpro_kit import errors


class Kind(StrEnum):
    """Which right is used."""

    ACCESS = "access"


class SubjectKind(StrEnum):
    """Whose data is asked for."""

    #: A dealer's customer: the dealer is the controller.
    CUSTOMER = "customer"
    #: A person with an account.
    USER = "user"


class State(StrEnum):
    """Where a request stands. It is ready only when every service has answered."""

    COLLECTING = "collecting"
    INCOMPLETE = "incomplete"
    READY = "ready"
    ANSWERED = "answered"


class AnswerIncomplete(errors.Conflict):
    """Not every service has told what it holds yet."""

    code = "privacy.answer_incomplete"
    message = "Not every service has answered yet; nothing is handed out before."


class PolicyDiffers(errors.Conflict):
    """A service works by another version of the policy than we do, as while a release goes out; ask again later."""

    code = "privacy.policy_differs"
    message = "The service works by another version of the policy."


#: Every service that holds personal data. One that is missing makes a case incomplete, never successful.
PARTICIPANTS = ("identity", "inventory", "billing", "notifications", "audit")
#: Knows the person's address and is therefore asked first.
FIRST = {SubjectKind.CUSTOMER: "inventory", SubjectKind.USER: "identity"}
#: After this many failures in a row the case is shown as incomplete; it is tried on all the same.
PATIENCE = 3
LONGEST_PAUSE = timedelta(hours=1)


def due_on(received_at: datetime) -> date:
    """The last day to answer: min(30 days, one calendar month) from receipt (policy, Your Rights; GDPR Art 12(3))."""
    return lotpro_policy.policy().clocks.answer_due(received_at.date())


def pause(attempts: int) -> timedelta:
    """How long to wait before a service is asked again: 1 s, 2 s, 4 s ... an hour."""
    return min(timedelta(seconds=2 ** min(attempts, 12)), LONGEST_PAUSE)


def state_of(*, answered: bool, open_attempts: Iterable[int]) -> State:
    """The state of a case from the attempts of the services that have not answered."""
    waiting = list(open_attempts)
    if waiting:
        return State.INCOMPLETE if max(waiting) >= PATIENCE else State.COLLECTING
    return State.ANSWERED if answered else State.READY
