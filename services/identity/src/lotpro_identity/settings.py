"""What identity is told by its surroundings besides what every service is."""

from typing import ClassVar

from pydantic import SecretStr

from lotpro_identity.keys.domain import CACHE_SECONDS
from lotpro_kit.settings import CommaSeparated, ServiceSettings


class Settings(ServiceSettings):
    """Identity's settings. The three keys come from Key Vault (`identity-code-key`, `-pepper`, `-signing-key`)."""

    service: ClassVar[str] = "identity"
    sandbox_fields: ClassVar[tuple[str, ...]] = (
        "blob_url", "sandbox_issuers", "sandbox_domains", "breached_range_url",
    )

    #: The storage account, https; identity's container in it has identity's name.
    blob_url: str

    #: 32 bytes, base64: one-time codes and invitation tokens are derived under it.
    code_key: SecretStr
    #: 32 bytes, base64: mixed into passwords before they are hashed.
    pepper: SecretStr
    #: ES256 private key, PEM or JWK.
    signing_key: SecretStr
    #: How often the vault is asked for it again.
    signing_key_reload_seconds: float = CACHE_SECONDS
    #: A range API for breached passwords, https, that is asked besides the bundled list; nobody is asked without one.
    breached_range_url: str | None = None
    #: Password hashes computed at once; each takes 19 MiB and some 18 ms of a core.
    hash_threads: int = 2
    #: Password checks that may wait for a thread before newcomers are turned away.
    hash_queue: int = 64
    #: Pictures that may wait to be read before newcomers are turned away; one is read at a time.
    picture_queue: int = 8
    #: Origins besides `public_url` whose pages may ask for passkeys, comma-separated.
    passkey_origins: CommaSeparated = ()
    #: The platform's people, as `<account id>:<platform role>`, comma-separated; nobody can appoint them from within.
    platform_staff: CommaSeparated = ()
    #: A GeoIP2 or GeoLite2 City file (MMDB); without one sessions have no place, and no travel is judged.
    geoip_file: str = ""
    #: Seconds that answers take at least where they would tell a known address from an unknown one.
    level_seconds: float = 0.2
    #: Origins of organisations' providers that may be on this machine or plain http; none in production.
    sandbox_issuers: CommaSeparated = ()
    #: `domain=origin` entries: where the well-known page of a domain is instead; none in production.
    sandbox_domains: CommaSeparated = ()
