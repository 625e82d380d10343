"""What audit is told by its surroundings besides what every service is."""

from typing import ClassVar

from pydantic import SecretStr

from lotpro_kit.settings import CommaSeparated, ServiceSettings


class Settings(ServiceSettings):
    """Audit's settings."""

    service: ClassVar[str] = "audit"
    sandbox_fields: ClassVar[tuple[str, ...]] = ("blob_url", "sandbox_receivers")

    #: The storage account, https; audit's container in it has audit's name and keeps what it has (a retention policy).
    blob_url: str

    #: X25519 private key, 32 bytes, base64: opens where security events came from. Its public half is every service's
    #: setting.
    sealing_key: SecretStr
    #: Ed25519 private key, 32 bytes, base64: signs the log's checkpoints.
    checkpoint_key: SecretStr
    #: Receivers of streams that are not public, for a workstation: `https://host:port` and `host:port`; production
    #: has none.
    sandbox_receivers: CommaSeparated = ()
