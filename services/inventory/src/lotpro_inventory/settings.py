"""What inventory is told by its surroundings."""

from typing import ClassVar

from lotpro_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The kit's settings, and where identity is."""

    service: ClassVar[str] = "inventory"

