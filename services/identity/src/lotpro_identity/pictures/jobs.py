"""Scheduled work of pictures."""

from uuid import UUID

from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.pictures import service
from lotpro_identity.ports import Ports
from lotpro_kit import errors, telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

BATCH = 100

log = telemetry.logger(__name__)


def sweep_pictures(database: Database, ports: Ports) -> Job:
    """Removes the blobs of pictures that nobody shows: replaced or removed ones, ended people's, broken uploads."""

    async def work(run: Run) -> Counts:
        counts = {"found": 0, "removed": 0, "elsewhere": 0, "failed": 0}
        after: UUID | None = None
        while True:
            async with database.begin(system(scope=AUTHENTICATOR)) as session:
                due = await service.list_due(session, by=run.as_of, after=after, limit=BATCH)
            for blob_id in due:
                counts["found"] += 1
                # What was deleted in the storage cannot be rolled back, so a dry run does not begin.
                counts["removed" if run.dry_run else await one(blob_id, run)] += 1
            if len(due) < BATCH:
                return counts
            after = due[-1]

    async def one(blob_id: UUID, run: Run) -> str:
        """What became of it: removed, removed by another run, or left for the next one because storage failed."""
        try:
            async with database.begin(system(scope=AUTHENTICATOR)) as session:
                done = await service.sweep(session, ports, blob_id=blob_id, by=run.as_of)
        except errors.Unavailable:
            log.error("picture not removed", blob=str(blob_id))
            return "failed"
        return "removed" if done else "elsewhere"

    return Job("sweep-pictures", "Remove pictures that nobody shows any more.", "*/10 * * * *", work)
