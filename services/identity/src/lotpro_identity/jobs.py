"""Identity's scheduled work."""

from datetime import timedelta

from lotpro_identity.accounts import attempts
from lotpro_identity.breakglass import service as breakglass
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import UNDO_LIFETIME
from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.devices import service as devices
from lotpro_identity.factors import passkeys
from lotpro_identity.factors import service as factors
from lotpro_identity.federation import service as federation
from lotpro_identity.revocations import service as revocations
from lotpro_identity.sessions import service as sessions
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: A dead challenge is kept a day, so that "used" and "unknown" can be told apart by whoever looks into a complaint.
KEPT = timedelta(days=1)


def expire_challenges(database: Database) -> Job:
    """Drops challenges, removed factors, ceremonies, SSO states, counted tries, revocations: all past their use."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            counts = {
                "challenges": await challenges.forget(session, before=run.as_of - KEPT),
                "attempts": await attempts.forget(session, before=run.as_of),
                "removed_factors": await factors.forget_removed(session, before=run.as_of - UNDO_LIFETIME),
                "ceremonies": await passkeys.forget(session, before=run.as_of),
                "sso_states": await federation.forget_states(session, before=run.as_of),
                "revocations": await revocations.forget(session, before=run.as_of),
            }
            if run.dry_run:
                await session.rollback()
        return counts

    about = "Drop ended one-time codes, invitations, revocations and counted tries."
    return Job("expire-challenges", about, "*/10 * * * *", work)


def expire_devices(database: Database) -> Job:
    """Drops devices that are not trusted any more: the policy's "until revoked or 90 days of inactivity"."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            counts = {"devices": await devices.forget(session, as_of=run.as_of)}
            if run.dry_run:
                await session.rollback()
        return counts

    return Job("expire-devices", "Drop devices that are not trusted any more.", "25 * * * *", work)


def expire_sessions(database: Database) -> Job:
    """Drops sessions with their refresh tokens, 30 days after they began (policy, cookies: "Session / 30 days")."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            counts = {"sessions": await sessions.forget(session, as_of=run.as_of)}
            if run.dry_run:
                await session.rollback()
        return counts

    return Job("expire-sessions", "Drop sessions that are over.", "35 * * * *", work)


def expire_accesses(database: Database) -> Job:
    """Drops what is known of the platform's looks into organisations, when the security log forgets them too."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            counts = {"accesses": await breakglass.forget(session, as_of=run.as_of)}
            if run.dry_run:
                await session.rollback()
        return counts

    return Job("expire-accesses", "Drop old records of the platform's looks into organisations.", "40 3 * * *", work)
