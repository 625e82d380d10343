"""The outside that use cases work with, passed to them as one value."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lotpro_identity.breakglass.domain import Staff
from lotpro_identity.challenges.domain import Codes
from lotpro_identity.clients.breaches import Breaches
from lotpro_identity.factors.relying_party import RelyingParty
from lotpro_identity.keys.domain import Signer
from lotpro_identity.origins.places import Places
from lotpro_identity.passwords.hashing import Passwords
from lotpro_identity.pictures.images import Images
from lotpro_kit.blobs import Blobs
from lotpro_kit.clock import Clock
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.security_log import SecurityLog


@dataclass(frozen=True, slots=True)
class Ports:
    """Keys, hashing, the security log and the time."""

    signer: Signer
    codes: Codes
    passwords: Passwords
    keyring: Keyring
    blind_index: BlindIndex
    security_log: SecurityLog
    clock: Clock
    relying_party: RelyingParty
    staff: Staff
    places: Places
    blobs: Blobs
    images: Images
    breaches: Breaches
    #: What tells a known address from an unknown one takes this long in any case.
    level_seconds: float = 0.2

    @asynccontextmanager
    async def levelled(self) -> AsyncIterator[None]:
        """Around work that differs for known and unknown addresses: it never ends before `level_seconds`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            await asyncio.sleep(max(0.0, begun + self.level_seconds - time.monotonic()))
