"""The typed tables say what the text's tables say."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lotpro_policy
from lotpro_policy.document import AtEnd, Trigger
from lotpro_policy.period import NoFixedLength, Period, months_after

UNITS = {"minutes": "minutes", "days": "days", "years": "years"}


def stated_period(text: str) -> Period:
    """The one "<number> <unit>" of a sentence."""
    [(number, unit)] = re.findall(r"(\d+) (minutes|days|years)", text)
    return Period.model_validate({UNITS[unit]: int(number)})


@pytest.mark.parametrize(
    ("key", "at_end"),
    [
        ("account_information", AtEnd.DELETE),
        ("security_logs", AtEnd.DELETE),
        ("mfa_codes", AtEnd.DELETE),
        ("trusted_devices", AtEnd.DELETE),
        ("inactive_accounts", AtEnd.ANONYMISE),
        ("billing_records", AtEnd.DELETE),
    ],
)
def test_a_retention_period_is_the_number_in_its_clause(key: str, at_end: AtEnd) -> None:
    row = lotpro_policy.policy().retention[key]
    assert row.clause is not None
    text = lotpro_policy.policy().clauses[row.clause].text
    assert stated_period(text) == row.period
    assert row.stated in text or row.stated == text.removeprefix("Devices: ")
    assert row.at_end is at_end


def test_business_data_goes_when_the_account_ends() -> None:
    row = lotpro_policy.policy().retention["business_data"]
    assert (row.duration, row.trigger) == (timedelta(0), Trigger.ACCOUNT_ENDED)


def test_every_row_of_the_published_retention_table_is_typed() -> None:
    policy = lotpro_policy.policy()
    listed = {clause.id for clause in policy.clauses.values() if clause.id.startswith("retention.")}
    typed = {row.clause for row in policy.retention.values()}
    assert listed - {"retention.only-as-necessary"} <= typed


def test_rows_that_the_policy_does_not_list_give_their_reason() -> None:
    own = [row for row in lotpro_policy.policy().retention.values() if row.clause is None]
    assert own
    assert all(len(row.stated) > 20 for row in own)


def test_every_row_of_the_published_cookie_table_is_typed_word_for_word() -> None:
    policy = lotpro_policy.policy()
    rows = {row.clause: f"{key.capitalize()} {row.purpose} {row.duration}" for key, row in policy.cookies.items()}
    listed = ["cookies.essential", "cookies.security", "cookies.preferences"]
    assert rows == {id_: policy.clauses[id_].text for id_ in listed}


def test_cookie_ages_are_the_numbers_in_their_clauses() -> None:
    cookies = lotpro_policy.policy().cookies
    for key in ("essential", "security"):
        assert cookies[key].max_age == stated_period(cookies[key].duration)
    assert cookies["preferences"].max_age is None


def test_every_cookie_is_bound_to_the_host() -> None:
    for row in lotpro_policy.policy().cookies.values():
        assert all(cookie.name.startswith("__Host-") for cookie in row.cookies)


def test_every_right_processor_and_purpose_of_the_text_is_typed() -> None:
    policy = lotpro_policy.policy()
    for prefix, rows in (
        ("processors.", policy.processors),
        ("use.", policy.purposes),
        ("collect.", policy.data_categories),
    ):
        listed = {id_ for id_ in policy.clauses if id_.startswith(prefix)} - {"use.purposes"}
        assert {row.clause for row in rows.values()} == listed
    titles = [heading for heading in policy.headings if heading.startswith("Right to ")]
    assert [right.title for right in policy.rights.values()] == titles


def test_a_processors_name_and_purpose_are_the_published_ones() -> None:
    policy = lotpro_policy.policy()
    for row in policy.processors.values():
        assert policy.clauses[row.clause].text == f"{row.name}: {row.purpose}"


def test_the_contact_address_is_the_published_one() -> None:
    policy = lotpro_policy.policy()
    assert policy.contacts.privacy_email in policy.clauses["rights.how"].text


def test_the_answer_deadline_is_the_published_one() -> None:
    policy = lotpro_policy.policy()
    assert (
        timedelta(days=policy.clocks.policy_answer_days)
        == stated_period(policy.clauses["rights.thirty-days"].text).length
    )


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (date(2025, 1, 31), date(2025, 2, 28)),
        (date(2024, 1, 31), date(2024, 2, 29)),
        (date(2025, 2, 1), date(2025, 3, 1)),
        (date(2025, 3, 31), date(2025, 4, 30)),
        (date(2025, 5, 10), date(2025, 6, 9)),
        (date(2025, 12, 31), date(2026, 1, 30)),
    ],
)
def test_an_answer_is_due_at_the_sooner_of_thirty_days_and_one_calendar_month(received: date, due: date) -> None:
    assert lotpro_policy.policy().clocks.answer_due(received) == due


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1)))
def test_no_answer_is_due_later_than_thirty_days_or_before_an_erasure_is_done(received: date) -> None:
    clocks = lotpro_policy.policy().clocks
    assert clocks.erasure_due(received) < clocks.answer_due(received) <= received + timedelta(days=30)
    assert clocks.answer_due(received) < clocks.extended_answer_due(received) <= months_after(received, 3)


def test_whoever_is_inactive_is_warned_in_time_and_never_at_once() -> None:
    policy = lotpro_policy.policy()
    warnings = policy.clocks.inactivity_warning_days
    assert warnings
    assert max(warnings) < policy.retention["inactive_accounts"].period.days


def test_a_closing_can_be_taken_back_until_the_account_is_deleted() -> None:
    policy = lotpro_policy.policy()
    assert policy.clocks.account_closure_undo_days == policy.retention["account_information"].period.days


def test_the_californian_clocks_count_business_days_to_confirm_and_days_to_answer() -> None:
    clocks = lotpro_policy.policy().clocks
    assert clocks.ccpa_acknowledge_due(date(2026, 11, 20)) == date(2026, 12, 4)
    assert clocks.ccpa_answer_due(date(2026, 11, 20)) == date(2027, 1, 4)


def test_closing_an_account_can_be_taken_back_for_as_long_as_its_data_is_kept() -> None:
    policy = lotpro_policy.policy()
    until = policy.clocks.closure_undo_until(date(2026, 1, 1))
    assert until - date(2026, 1, 1) == policy.retention["account_information"].duration


def test_billing_records_are_kept_calendar_years() -> None:
    row = lotpro_policy.policy().retention["billing_records"]
    assert row.expires_at(datetime(2024, 2, 29, 12, tzinfo=UTC)) == datetime(2031, 2, 28, 12, tzinfo=UTC)
    with pytest.raises(NoFixedLength):
        _ = row.duration


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.sampled_from(sorted(lotpro_policy.policy().retention)),
)
def test_nothing_before_the_cutoff_is_younger_than_its_period(as_of: datetime, key: str) -> None:
    row = lotpro_policy.policy().retention[key]
    assert row.expires_at(row.cutoff(as_of)) <= as_of


def test_an_empty_period_is_refused() -> None:
    with pytest.raises(ValueError, match="names years"):
        Period()
