"""The days of an unused account, against the slowest oracle there is: one that walks day by day."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lotpro_policy
from lotpro_identity.lifecycle import domain
from lotpro_kit import errors

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def oracle(visits: set[int], days: int) -> tuple[dict[int, int], int | None]:
    """Day -> days left of each warning, and the day of the anonymisation; visits and jobs are at noon, visits first."""
    unused, warned, told = 0, set(), {}
    for day in range(days):
        if day in visits:
            unused, warned = 0, set()
        elif day:
            unused += 1
        if unused >= 180:
            return told, day
        for stage in (150, 173):
            if unused >= stage and stage not in warned:
                warned.add(stage)
                told[day] = 180 - unused
    return told, None


@given(st.sets(st.integers(1, 364), max_size=6))
def test_a_year_of_days_is_as_the_oracle_says(visits: set[int]) -> None:
    since, given_for, told, ended = NOON, set(), {}, None
    for day in range(365):
        now = NOON + day * DAY
        if day in visits:
            since = now
        if domain.is_inactive(since, as_of=now):
            ended = day
            break
        warning = domain.warning_due(since, as_of=now)
        if warning and (warning, since) not in given_for:
            given_for.add((warning, since))
            told[day] = domain.days_left(since, as_of=now)
    assert (told, ended) == oracle(visits, 365)


@pytest.mark.parametrize(
    ("age", "inactive", "warning"),
    [
        (150 * DAY - SECOND, False, None),
        (150 * DAY, False, 30),
        (173 * DAY - SECOND, False, 30),
        (173 * DAY, False, 7),
        (180 * DAY - SECOND, False, 7),
        (180 * DAY, True, None),
    ],
)
def test_every_boundary_is_at_its_second(age: timedelta, inactive: bool, warning: int | None) -> None:
    assert domain.is_inactive(NOON, as_of=NOON + age) is inactive
    assert domain.warning_due(NOON, as_of=NOON + age) == warning


def test_the_two_periods_that_end_a_closing_are_one() -> None:
    """The link's time and the deletion's come from two rows of the policy; between them nothing may be left open."""
    assert domain.undo_period() == timedelta(days=lotpro_policy.policy().clocks.account_closure_undo_days)


HERE, ELSEWHERE, MINE, OTHER = uuid4(), uuid4(), uuid4(), uuid4()


@pytest.mark.parametrize(
    ("held", "stores", "refusal"),
    [
        ([(HERE, MINE, "sales")], frozenset({MINE}), None),
        ([(HERE, MINE, "sales"), (HERE, OTHER, "sales")], None, None),
        ([(HERE, None, "org_owner")], None, None),
        ([], None, errors.NotFound),
        ([(ELSEWHERE, MINE, "sales")], None, errors.NotFound),
        ([(HERE, OTHER, "sales")], frozenset({MINE}), errors.NotFound),
        ([(HERE, None, "org_owner")], frozenset({MINE}), errors.NotFound),
        ([(HERE, MINE, "sales"), (HERE, OTHER, "sales")], frozenset({MINE}), domain.MemberOutOfReach),
        ([(HERE, MINE, "sales"), (HERE, None, "compliance")], frozenset({MINE}), domain.MemberOutOfReach),
        ([(HERE, MINE, "store_admin")], frozenset({MINE}), domain.MemberOutOfReach),
        ([(HERE, MINE, "sales"), (ELSEWHERE, None, "org_owner")], None, domain.MemberElsewhere),
    ],
)
def test_who_may_remove_whose_account(
    held: list[tuple[UUID, UUID | None, str]], stores: frozenset[UUID] | None, refusal: type[errors.Error] | None
) -> None:
    reserved = frozenset({"org_owner", "compliance", "store_admin"})

    def check() -> None:
        domain.check_reach(held, org_id=HERE, stores=stores, reserved=reserved)

    if refusal is None:
        check()
    else:
        with pytest.raises(refusal):
            check()
