"""The period of a summary."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.summaries import domain
from lotpro_audit.summaries.domain import PeriodImpossible

NOW = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)


def test_without_days_it_is_of_the_last_thirty() -> None:
    assert domain.period(None, None, now=NOW) == (date(2026, 10, 27), date(2026, 11, 25))
    assert domain.period(None, date(2026, 1, 30), now=NOW) == (date(2026, 1, 1), date(2026, 1, 30))


DATES = st.dates(date(1970, 1, 1), date(8999, 12, 31))


@given(DATES, DATES)
def test_a_period_has_one_to_ninety_days_without_a_gap(first: date, last: date) -> None:
    if 0 <= (last - first).days <= 89:
        days = list(domain.days(*domain.moments(*domain.period(first, last, now=NOW))))
        assert days == [first + timedelta(days=number) for number in range((last - first).days + 1)]
    else:
        with pytest.raises(PeriodImpossible):
            domain.period(first, last, now=NOW)


@given(st.dates())
def test_every_last_day_has_a_period_and_moments_or_is_refused(last: date) -> None:
    first, end = domain.period(None, last, now=NOW)
    try:
        since, until = domain.moments(first, end)
    except PeriodImpossible:
        assert first.year < 1970 or end.year >= 9000
    else:
        assert until - since == timedelta(days=(end - first).days + 1)
