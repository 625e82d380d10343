"""The outside that use cases work with, passed to them as one value."""

from collections.abc import Mapping
from dataclasses import dataclass

from lotpro_kit.clock import Clock
from lotpro_kit.crypto import Keyring
from lotpro_kit.security_log import SecurityLog
from lotpro_privacy.clients.audit import Audit
from lotpro_privacy.clients.participants import Participant


@dataclass(frozen=True, slots=True)
class Ports:
    """Every service that holds personal data by name, the log, keys and the time."""

    participants: Mapping[str, Participant]
    audit: Audit
    keyring: Keyring
    security_log: SecurityLog
    clock: Clock
