"""The alarm: the log is not as it was written."""

from lotpro_audit.ports import Ports
from lotpro_kit import telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database

DAMAGE = "audit:log:damage"
#: How many damages were found, as the collector counts them.
METRIC = "lotpro.audit.damages"

log = telemetry.logger(__name__)


async def sound(database: Database, ports: Ports, *, reason: str, damages: int) -> None:
    """Tell it in three ways: an error in the service's own log, a metric, and a security event.

    The event stays in the outbox as long as the log takes nothing.
    """
    log.error("audit log damaged", reason=reason, damages=damages)
    telemetry.count(METRIC, damages)
    async with database.begin(system()) as session:
        await ports.security_log.record(session, system(), DAMAGE, at=ports.clock(), success=False)
