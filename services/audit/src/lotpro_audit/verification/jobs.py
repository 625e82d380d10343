"""Scheduled work of verification."""

from lotpro_audit.ports import Ports
from lotpro_audit.verification import alarm, service
from lotpro_kit import telemetry
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

log = telemetry.logger(__name__)


def verify_log(database: Database, ports: Ports) -> Job:
    """Proves daily that the log is as it was written, and sounds the alarm when it is not; a dry run sounds none."""

    async def work(run: Run) -> Counts:
        report = await service.verify_log(database, ports, as_of=run.as_of)
        for damage in report.damages.told:
            log.error("part of the audit log damaged", seq=damage.seq, reason=damage.what)
        if report.damages.count and not run.dry_run:
            await alarm.sound(database, ports, reason="the log does not verify", damages=report.damages.count)
        return {
            "events": report.events, "expired": report.expired, "checkpoints": report.checkpoints,
            "anchors": report.anchors, "damages": report.damages.count,
        }

    return Job("verify-log", "Prove that the whole log is as it was written, signed and anchored.", "45 1 * * *", work)
