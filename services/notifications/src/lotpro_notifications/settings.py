"""What notifications is told by its surroundings."""

from typing import ClassVar

from pydantic import Field, SecretStr

from lotpro_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The kit's settings, the other services, and the two providers."""

    service: ClassVar[str] = "notifications"
    sandbox_fields: ClassVar[tuple[str, ...]] = ("sendgrid_api_url", "twilio_api_url")

    inventory_grpc: str = Field(description="host:port of inventory's gRPC")

    sendgrid_api_url: str = "https://api.sendgrid.com"
    sendgrid_api_key: SecretStr
    sender_address: str = "no-reply@lotpro.space"

    twilio_api_url: str = "https://api.twilio.com"
    twilio_account_sid: str
    twilio_auth_token: SecretStr
    twilio_from_number: str = Field(description="the number that SMS come from, E.164")
