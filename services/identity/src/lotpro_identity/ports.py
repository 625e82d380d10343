"""The outside that use cases work with, passed to them as one value."""

from dataclasses import dataclass

from lotpro_identity.accounts.passwords import Passwords
from lotpro_identity.challenges.domain import Codes
from lotpro_identity.keys.domain import Signer
from lotpro_kit.clock import Clock
from lotpro_kit.crypto import Keyring
from lotpro_kit.security_log import SecurityLog


@dataclass(frozen=True, slots=True)
class Ports:
    """Keys, hashing, the security log and the time."""

    signer: Signer
    codes: Codes
    passwords: Passwords
    keyring: Keyring
    security_log: SecurityLog
    clock: Clock
