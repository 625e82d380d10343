"""What makes a sign-in unusual."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_identity.risk.domain import HIGH, Seen, Signal, score, signals
from lotpro_identity.sessions.domain import network_of

USUAL = Seen(earlier_sessions=4, known_agent=True, known_network=True)


def test_a_first_sign_in_and_a_usual_one_are_not_unusual() -> None:
    assert signals(Seen(earlier_sessions=0, known_agent=False, known_network=False)) == []
    assert signals(USUAL) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (replace(USUAL, known_agent=False), [Signal.NEW_AGENT]),
        (replace(USUAL, known_network=False), [Signal.NEW_NETWORK]),
        (replace(USUAL, failed_passwords=4), [Signal.FAILED_BEFORE]),
        (replace(USUAL, failed_factors=3), [Signal.FACTOR_FATIGUE]),
        (replace(USUAL, tries_from_address=100), [Signal.BUSY_ADDRESS]),
        (replace(USUAL, accounts_from_address=10), [Signal.MANY_ACCOUNTS]),
        (replace(USUAL, codes_sent=4), [Signal.CODE_BURST]),
        (replace(USUAL, days_since_last=60), [Signal.DORMANT]),
        (replace(USUAL, kilometres_an_hour=1_000), [Signal.IMPOSSIBLE_TRAVEL]),
    ],
)
def test_each_rule_speaks_for_itself(seen: Seen, expected: list[Signal]) -> None:
    assert signals(seen) == expected


def test_a_new_browser_in_a_new_network_after_wrong_passwords_is_high() -> None:
    found = signals(replace(USUAL, known_agent=False, known_network=False, failed_passwords=5))
    assert score(found) >= HIGH
    assert score(signals(replace(USUAL, known_agent=False))) < HIGH


@given(st.ip_addresses(v=4), st.ip_addresses(v=6))
def test_neighbours_share_a_network(four: object, six: object) -> None:
    assert network_of(str(four)).endswith("/24")
    assert network_of(str(six)).endswith("/48")
    assert network_of("unknown") == "unknown"
