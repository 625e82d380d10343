"""The outside that use cases work with, passed to them as one value."""

from dataclasses import dataclass

from lotpro_kit.clock import Clock
from lotpro_notifications.clients.identity import Identity
from lotpro_notifications.clients.inventory import Inventory
from lotpro_notifications.clients.mail import Post
from lotpro_notifications.clients.sms import Texting


@dataclass(frozen=True, slots=True)
class Ports:
    """Other services, the providers, the time, and where people find lotPro."""

    identity: Identity
    inventory: Inventory
    post: Post
    texting: Texting
    clock: Clock
    public_url: str
