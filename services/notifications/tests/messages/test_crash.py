"""A sender that is killed after the provider took the message and before it was written down."""

import asyncio
import sys

from lotpro.identity.v1 import events_pb2
from lotpro.privacy.v1 import events_pb2 as privacy_events
from lotpro_kit import testing
from lotpro_notifications.messages.domain import LEASE
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery


async def test_kill_9_between_the_providers_answer_and_the_commit_sends_nothing_twice(
    notifications: Notifications, postgres: testing.Postgres
) -> None:
    opener = notifications.identity.add_person()
    challenge_id, _, address = notifications.identity.add_code(expires_at=notifications.clock() + LEASE * 9)
    code, answered = delivery(), delivery()
    await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), code)
    await notifications.handle(
        privacy_events.RequestAnswered(
            org_id=str(notifications.org_id), request_id=str(challenge_id), opened_by=str(opener)
        ),
        answered,
    )
    url = postgres.url("notifications_app", testing.APP_PASSWORD, "notifications")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.notifications.tests.crash", url.render_as_string(hide_password=False),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    wanted = {str((await notifications.of_event(caused))[0].id) for caused in (code, answered)}
    async with asyncio.timeout(30):
        while wanted:
            line = (await process.stdout.readline()).decode()
            assert line, "the sender ended by itself"
            if line.startswith("taken "):
                wanted.discard(line.split()[1])
    process.kill()
    await process.wait()
    async with notifications.sending() as sender:
        assert [(await notifications.of_event(caused))[0].state for caused in (code, answered)] == ["sending"] * 2
        notifications.clock.advance(LEASE * 2)
        sender.wake()
        fates = [(await notifications.settled(caused))[0] for caused in (code, answered)]
    assert [(fate.state, fate.attempts) for fate in fates] == [("unknown", 1)] * 2
    assert notifications.providers.letters_to(address) == []
    assert notifications.providers.letters_to(f"{opener}@example.com") == []
