"""When a message is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lotpro_notifications.messages.domain import Lane, gives_up, next_attempt

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@given(st.sampled_from(Lane), st.integers(1, 10_000), st.floats(0, 3600))
def test_the_wait_is_jittered_bounded_and_never_shorter_than_asked_for(
    lane: Lane, attempts: int, retry_after: float
) -> None:
    most = {Lane.MFA: 8, Lane.SECURITY: 300}.get(lane, 7200)
    wait = next_attempt(lane, attempts=attempts, retry_after=retry_after, now=NOW) - NOW
    assert timedelta(seconds=retry_after - 0.001) <= wait <= timedelta(seconds=retry_after + most + 0.001)


def test_trying_ends() -> None:
    assert not gives_up(15)
    assert gives_up(16)
