"""Identity's scheduled work."""

from datetime import timedelta

from lotpro_identity.accounts import attempts
from lotpro_identity.challenges import service as challenges
from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: A dead challenge is kept a day, so that "used" and "unknown" can be told apart by whoever looks into a complaint.
KEPT = timedelta(days=1)


def expire_challenges(database: Database) -> Job:
    """Drops challenges and counted tries that are past their use."""

    async def work(run: Run) -> Counts:
        if run.dry_run:
            return {"challenges": 0, "attempts": 0}
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            return {
                "challenges": await challenges.forget(session, before=run.as_of - KEPT),
                "attempts": await attempts.forget(session, before=run.as_of),
            }

    return Job("expire-challenges", "Drop ended one-time codes, invitations and counted tries.", "*/10 * * * *", work)
