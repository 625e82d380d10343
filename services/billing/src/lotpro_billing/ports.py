"""The outside that use cases work with, passed to them as one value."""

from dataclasses import dataclass

from lotpro_billing.clients.identity import Identity
from lotpro_billing.clients.stripe import Stripe
from lotpro_kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Ports:
    """Identity, Stripe and the time."""

    identity: Identity
    stripe: Stripe
    clock: Clock
