"""The outside that use cases work with, passed to them as one value."""

from collections.abc import Callable
from dataclasses import dataclass

from lotpro_audit.tree.anchors import Anchors
from lotpro_audit.tree.notes import SigningKey
from lotpro_kit.clock import Clock
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.security_log import SecurityLog


@dataclass(frozen=True, slots=True)
class Ports:
    """Keys, anchors, the security log and the time. Keys are made when they are first asked for."""

    keyring: Keyring
    blind_index: BlindIndex
    sealing_key: Callable[[], str]
    checkpoint_key: Callable[[], SigningKey]
    anchors: Anchors
    security_log: SecurityLog
    clock: Clock
