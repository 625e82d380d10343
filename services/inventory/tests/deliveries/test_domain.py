"""The store's clocks: every local time against a walk over all moments of the day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_inventory.deliveries import domain

NEW_YORK = ZoneInfo("America/New_York")
ZONES = ("America/New_York", "America/Denver", "America/Phoenix", "Australia/Lord_Howe", "UTC")


def test_the_hour_that_comes_twice_is_ambiguous_and_the_skipped_one_does_not_exist() -> None:
    with pytest.raises(domain.DeliveryTimeAmbiguous):
        domain.moment(datetime(2026, 11, 1, 1, 30), NEW_YORK)  # noqa: DTZ001 - the wall has no offset
    with pytest.raises(domain.DeliveryTimeDoesNotExist):
        domain.moment(datetime(2026, 3, 8, 2, 30), NEW_YORK)  # noqa: DTZ001 - the wall has no offset


def test_an_offset_settles_an_ambiguous_hour() -> None:
    stated = datetime.fromisoformat("2026-11-01T01:30:00-05:00")
    assert domain.moment(stated, NEW_YORK) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def slow_moments(stated: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every minute around, asked what the wall shows."""
    around = stated.replace(tzinfo=UTC)
    minutes = (around + timedelta(minutes=minute) for minute in range(-15 * 60, 15 * 60))
    return [minute for minute in minutes if minute.astimezone(zone).replace(tzinfo=None) == stated]


CHANGES = st.sampled_from([datetime(2026, 3, 8), datetime(2026, 11, 1), datetime(2026, 10, 4), datetime(2026, 6, 15)])  # noqa: DTZ001 - days on walls


@given(CHANGES, st.integers(0, 24 * 60 - 1), st.sampled_from(ZONES))
def test_a_local_time_means_the_one_moment_at_which_the_wall_shows_it(day: datetime, minute: int, name: str) -> None:
    stated, zone = day + timedelta(minutes=minute), ZoneInfo(name)
    moments = slow_moments(stated, zone)
    if not moments:
        with pytest.raises(domain.DeliveryTimeDoesNotExist):
            domain.moment(stated, zone)
    elif len(moments) > 1:
        with pytest.raises(domain.DeliveryTimeAmbiguous):
            domain.moment(stated, zone)
    else:
        assert domain.moment(stated, zone) == moments[0]
