"""How preferences look over HTTP."""

from pydantic import Field

from lotpro_kit import api


class Preferences(api.Answer):
    """Which messages you get. Codes and security alerts always come."""

    sms_alerts: bool = Field(description="News on the phone, where a number is set.", examples=[True])


class UpdatePreferences(api.Body):
    """A change (RFC 7396): what is left out stays."""

    sms_alerts: bool | None = Field(default=None, examples=[False])
