"""What billing is told by its surroundings."""

from typing import ClassVar

from pydantic import SecretStr

from lotpro_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The kit's settings, where identity is, and Stripe."""

    service: ClassVar[str] = "billing"
    sandbox_fields: ClassVar[tuple[str, ...]] = ("stripe_api_url",)


    stripe_api_url: str = "https://api.stripe.com"
    stripe_api_key: SecretStr
    #: One signing secret, or two separated by a comma while the endpoint's secret is being rotated.
    stripe_webhook_secret: SecretStr
    stripe_price_lookup_key: str = "lotpro_standard"
