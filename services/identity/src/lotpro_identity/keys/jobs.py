"""Renewing the key that tokens are signed with, and hearing of it."""

import asyncio

from azure.core.exceptions import AzureError

from lotpro_identity.keys import domain
from lotpro_identity.keys.domain import Signer
from lotpro_kit import telemetry
from lotpro_kit.jobs import Counts, Job, Run
from lotpro_kit.settings import Secret

log = telemetry.logger(__name__)


def rotate(secret: Secret) -> Job:
    """Adds the next key before its time and drops those that nothing depends on any more."""

    async def work(run: Run) -> Counts:
        keys = domain.read_keys(await secret.read())
        after = domain.rotated(keys, now=int(run.as_of.timestamp()))
        if after is None:
            return {"added": 0, "dropped": 0}
        if not run.dry_run:
            await secret.write(domain.write_keys(after))
        before, now = {one.key.kid for one in keys}, {one.key.kid for one in after}
        return {"added": len(now - before), "dropped": len(before - now)}

    return Job("rotate-signing-key", "Renew the key that tokens are signed with, when it is due.", "5 4 * * *", work)


def replace(secret: Secret) -> Job:
    """For the day the key is known to somebody: a new one signs at once, and every token given before ends."""

    async def work(run: Run) -> Counts:
        keys = domain.read_keys(await secret.read())
        if not run.dry_run:
            await secret.write(domain.write_keys(domain.replaced(now=int(run.as_of.timestamp()))))
        return {"added": 1, "dropped": len(keys)}

    return Job("replace-signing-key", "Replace the signing key at once, because it became known.", "", work)


async def follow(secret: Secret, signer: Signer, *, every: float) -> None:
    """Ask the vault for the keys again and again; while it is away, those that are known go on."""
    while True:
        await asyncio.sleep(every)
        try:
            signer.replace(await secret.read())
        except (AzureError, ValueError) as error:
            log.warning("signing keys not read", error=type(error).__name__)
