"""HTTP shapes of page views and usage."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from lotpro_audit.views import domain
from lotpro_kit.api import Answer, Body

#: Names of pages and features are words: what has a number in it could be somebody's.
FEATURE = r"^(/[a-z][a-z-]{0,30}){1,4}$"
Feature = Annotated[str, Field(max_length=64, pattern=FEATURE, examples=["/inventory/vehicles"])]


class View(Body):
    """A page or feature that was looked at."""

    feature: Feature
    viewed_at: AwareDatetime = Field(examples=["2026-11-01T15:32:00Z"], description="Within the last day.")
    duration_ms: int = Field(default=0, ge=0, le=86_400_000, description="How long; 0 where that is not known.")

    def view(self) -> domain.View:
        """As the use case takes it."""
        return domain.View(self.feature, self.viewed_at, self.duration_ms)


class ReportViews(Body):
    """What was looked at since the last report."""

    items: list[View] = Field(min_length=1, max_length=domain.MOST_VIEWS)


class Usage(Answer):
    """How many people used a feature on a day, how often, and for how long together."""

    day: date = Field(description="In UTC.")
    feature: str
    people: int = Field(description="At least 10: what fewer used is not counted.")
    uses: int
    duration_ms: int


class UsagePage(Answer):
    """Counts of the whole platform, the newest day first; no person and no organisation stands in them."""

    items: list[Usage]
    next_cursor: str | None


class Objection(Answer):
    """Whether one is counted."""

    objects: bool = Field(description="True: one's page views are counted in nothing.")
    since: datetime | None


def usage(row: domain.Count) -> Usage:
    """A count as it is shown."""
    return Usage(day=row.day, feature=row.feature, people=row.people, uses=row.uses, duration_ms=row.duration_ms)
