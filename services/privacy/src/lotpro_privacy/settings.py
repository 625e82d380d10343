"""What privacy is told by its surroundings besides what every service is."""

from typing import ClassVar

from pydantic import Field

from lotpro_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Privacy's settings: where the services that hold personal data are asked."""

    service: ClassVar[str] = "privacy"

    inventory_grpc: str = Field(description="host:port of inventory's gRPC")
    billing_grpc: str = Field(description="host:port of billing's gRPC")
    notifications_grpc: str = Field(description="host:port of notifications' gRPC")
    audit_grpc: str = Field(description="host:port of audit's gRPC")
