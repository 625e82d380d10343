"""Owns periods of time as the policy states them: calendar years and months, days, minutes."""

import calendar
from datetime import date, datetime, timedelta
from typing import Self, TypeVar

from pydantic import Field, model_validator

from lotpro_policy.record import Record

Moment = TypeVar("Moment", bound=date)


class NoFixedLength(ValueError):
    """The period has calendar months or years, whose length depends on where it starts."""


class Period(Record):
    """A length of time; months and years are calendar ones and end on the last day of a shorter month."""

    years: int = Field(default=0, ge=0)
    months: int = Field(default=0, ge=0)
    days: int = Field(default=0, ge=0)
    minutes: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a period names years, months, days or minutes")
        return self

    @property
    def length(self) -> timedelta:
        """The exact length; raises NoFixedLength for calendar months and years."""
        if self.years or self.months:
            raise NoFixedLength(f"{self} has no fixed length: use after() or before()")
        return timedelta(days=self.days, minutes=self.minutes)

    def after(self, start: datetime) -> datetime:
        """The moment this long after `start`."""
        return months_after(start, self._months) + self._rest

    def before(self, end: datetime) -> datetime:
        """The moment this long before `end`: what began earlier has run its period."""
        return months_after(end - self._rest, -self._months)

    @property
    def _months(self) -> int:
        return 12 * self.years + self.months

    @property
    def _rest(self) -> timedelta:
        return timedelta(days=self.days, minutes=self.minutes)


def months_after(start: Moment, months: int) -> Moment:
    """The same day so many calendar months later (earlier when negative), or that month's last day."""
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))
