"""The outside that use cases work with, passed to them as one value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from lotpro_kit.clock import Clock
from lotpro_kit.crypto import Keyring
from lotpro_kit.security_log import SecurityLog


@dataclass(frozen=True, slots=True)
class Ports:
    """Keys, the security log, the time, and the days whose tables this process knows to be committed."""

    keyring: Keyring
    sealing_key: Callable[[], str]
    security_log: SecurityLog
    clock: Clock
    known_days: set[date] = field(default_factory=set)
