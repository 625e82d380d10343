"""HTTP shapes of summaries."""

from datetime import date
from uuid import UUID

from pydantic import Field

from lotpro_audit.summaries.domain import Summary
from lotpro_kit.api import Answer


class DaySummary(Answer):
    """One day, UTC."""

    day: date
    failed_sign_ins: int = Field(description="All of them, at the password or at a factor.")
    mfa_failures: int = Field(description="Those that failed at a factor: a code, a passkey, a recovery code.")
    lockouts: int = Field(description="Accounts locked by their owners because it was not them.")
    refresh_reuses: int = Field(description="Stolen refresh tokens that were used.")
    suspicious_findings: int = Field(description="Sign-ins that were unusual, such as from two places at once.")
    new_devices: int = Field(description="Devices that were trusted for the first time.")
    actors: int = Field(description="How many people these acts were done or tried in the name of.")
    addresses: int = Field(description="How many different addresses they came from.")


class ActorSummary(Answer):
    """A person in whose name such acts were done or tried."""

    actor_id: UUID
    count: int


class SummaryAnswer(Answer):
    """Every day of the period, and the people with the most such acts."""

    first: date
    last: date
    days: list[DaySummary]
    top_actors: list[ActorSummary]


def summary(found: Summary) -> SummaryAnswer:
    """A summary as it is answered."""
    return SummaryAnswer(
        first=found.days[0].day, last=found.days[-1].day,
        days=[DaySummary(**{name: getattr(day, name) for name in DaySummary.model_fields}) for day in found.days],
        top_actors=[ActorSummary(actor_id=actor.actor_id, count=actor.count) for actor in found.top_actors],
    )
