"""The outside that use cases work with, passed to them as one value."""

from dataclasses import dataclass

from lotpro_inventory.clients.identity import Identity
from lotpro_inventory.clients.vin_decoder import VinDecoder
from lotpro_kit.clock import Clock
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.security_log import SecurityLog


@dataclass(frozen=True, slots=True)
class Ports:
    """Other services, keys, the security log and the time."""

    identity: Identity
    vin_decoder: VinDecoder
    keyring: Keyring
    blind_index: BlindIndex
    security_log: SecurityLog
    clock: Clock
