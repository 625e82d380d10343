"""What inventory is told by its surroundings."""

from typing import ClassVar

from pydantic import Field

from lotpro_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The kit's settings, and where identity is."""

    service: ClassVar[str] = "inventory"

    identity_grpc: str = Field(description="host:port of identity's gRPC")
