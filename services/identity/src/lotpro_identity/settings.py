"""What identity is told by its surroundings besides what every service is."""

from typing import ClassVar

from pydantic import SecretStr

from lotpro_kit.settings import CommaSeparated, ServiceSettings


class Settings(ServiceSettings):
    """Identity's settings. The three keys come from Key Vault (`identity-code-key`, `-pepper`, `-signing-key`)."""

    service: ClassVar[str] = "identity"
    sandbox_fields: ClassVar[tuple[str, ...]] = ("sandbox_issuers", "sandbox_domains")

    #: 32 bytes, base64: one-time codes and invitation tokens are derived under it.
    code_key: SecretStr
    #: 32 bytes, base64: mixed into passwords before they are hashed.
    pepper: SecretStr
    #: ES256 private key, PEM or JWK.
    signing_key: SecretStr
    #: Password hashes computed at once; each takes 19 MiB and some 18 ms of a core.
    hash_threads: int = 2
    #: Password checks that may wait for a thread before newcomers are turned away.
    hash_queue: int = 64
    #: Origins besides `public_url` whose pages may ask for passkeys, comma-separated.
    passkey_origins: CommaSeparated = ()
    #: Seconds that answers take at least where they would tell a known address from an unknown one.
    level_seconds: float = 0.2
    #: Origins of organisations' providers that may be on this machine or plain http; none in production.
    sandbox_issuers: CommaSeparated = ()
    #: `domain=origin` entries: where the well-known page of a domain is instead; none in production.
    sandbox_domains: CommaSeparated = ()
