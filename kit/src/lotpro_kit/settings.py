"""What a service is told by its surroundings: endpoints from the environment, secrets from Key Vault."""

import asyncio
import os
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import (
    AzureKeyVaultSettingsSource,
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources.providers.azure import AzureKeyVaultMapping

SANDBOX_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - a value that is refused, not bound


class VaultSource(AzureKeyVaultSettingsSource):
    """Key Vault's secrets as settings: `identity-cursor-key` in the vault is `cursor_key` here.

    Differs from its parent in taking a ready client, whose challenge check is a setting (`vault_verify_challenge`).
    """

    def __init__(self, settings: type[BaseSettings], client: SecretClient, prefix: str) -> None:
        self._client = client
        super().__init__(
            settings, client.vault_url, _NoCredential(), env_prefix=prefix, snake_case_conversion=True,
        )

    def _load_env_vars(self) -> AzureKeyVaultMapping:
        return AzureKeyVaultMapping(
            secret_client=self._client, case_sensitive=False, snake_case_conversion=True, env_prefix=self.env_prefix,
        )


class _NoCredential:
    """Stands where the parent wants a credential that our client already has."""

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        raise RuntimeError("the vault client carries its own credential")


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_comma_separated)]


class ServiceSettings(BaseSettings):
    """The settings every service has. Frozen; built once in `__main__` and passed down; no secret has a default."""

    model_config = SettingsConfigDict(env_prefix="LOTPRO_", frozen=True, extra="ignore")

    service: ClassVar[str]
    #: Settings whose value is a secret in Key Vault, named `<service>-<field>` there.
    sandbox_fields: ClassVar[tuple[str, ...]] = ()

    environment: Literal["production", "staging", "development"]
    host: str = "0.0.0.0"  # noqa: S104 - a container listens to its own network; a workstation sets 127.0.0.1
    http_port: int = 8000
    grpc_port: int = 50051

    database_url: str = Field(description="postgresql+asyncpg://<svc>_app@host/db, without a password")
    migration_database_url: str = ""
    database_password: SecretStr | None = None
    migration_database_password: SecretStr | None = None
    database_pool_size: int = 8

    servicebus_namespace: str
    servicebus_endpoint: str = ""
    ca_bundle: str = ""

    vault_url: str
    vault_verify_challenge: bool = True
    client_id: str = Field(description="client id of this service's managed identity")
    entra_issuer: str
    entra_jwks_url: str
    service_audience: str = "api://lotpro"
    #: `identity=<client id>,inventory=<client id>,...`: whose token is which service's.
    service_principals: Annotated[str, Field(min_length=1)]

    user_token_issuer: str = "https://lotpro.space/identity"  # noqa: S105 - a name, no secret
    user_token_audience: str = "lotpro"  # noqa: S105 - a name, no secret
    user_token_jwks_url: str
    #: Whom revocations are heard from; identity itself knows them.
    identity_grpc: str = Field(default="", description="host:port of identity's gRPC")
    public_url: str = Field(description="where the gateway is reached from outside, for example https://app.lotpro.space")

    otlp_endpoint: str = ""
    trace_ratio: float = Field(default=0.1, ge=0, le=1)
    log_level: str = "INFO"

    #: 32 bytes each, base64.
    cursor_key: SecretStr
    data_key_encryption_key: SecretStr
    blind_index_key: SecretStr
    #: HPKE public key of audit, base64 (X25519): to seal where a security event came from.
    audit_sealing_public_key: str

    def principals(self) -> dict[str, str]:
        """Client id of a managed identity -> name of the service it belongs to."""
        pairs = (entry.split("=", 1) for entry in self.service_principals.split(",") if "=" in entry)
        return {client_id.strip(): name.strip() for name, client_id in pairs}

    @model_validator(mode="after")
    def _production_is_real(self) -> Self:
        """In production refuse anything that points at a sandbox, plain http or an unverified vault."""
        if self.environment != "production":
            return self
        wrong = []
        if not self.vault_verify_challenge:
            wrong.append("vault_verify_challenge must be on")
        if self.servicebus_endpoint:
            wrong.append("servicebus_endpoint must not be overridden")
        public = ("vault_url", "entra_issuer", "entra_jwks_url", "public_url", *self.sandbox_fields)
        for name in public:
            value = getattr(self, name)
            if value is None:
                # Not set, so nothing is there.
                continue
            if isinstance(value, tuple):
                # A list of exceptions for a workstation.
                wrong += [f"{name} must be empty"] if value else []
                continue
            parts = urlsplit(str(value))
            if parts.scheme != "https" or parts.hostname in SANDBOX_HOSTS:
                wrong.append(f"{name} must be a public https address")
        if urlsplit(self.database_url).hostname in SANDBOX_HOSTS:
            wrong.append("database_url must not be on this machine")
        if wrong:
            raise ValueError("refusing to start in production: " + "; ".join(wrong))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        vault_url = os.environ.get("LOTPRO_VAULT_URL")
        if not vault_url:
            return init_settings, env_settings
        client = secret_client(
            vault_url,
            client_id=os.environ["LOTPRO_CLIENT_ID"],
            verify_challenge=os.environ.get("LOTPRO_VAULT_VERIFY_CHALLENGE", "true").lower() != "false",
            ca_bundle=os.environ.get("LOTPRO_CA_BUNDLE", ""),
        )
        vault = VaultSource(settings_cls, client, f"{cls.service}-")
        return init_settings, env_settings, vault


def secret_client(vault_url: str, *, client_id: str, verify_challenge: bool, ca_bundle: str) -> SecretClient:
    """The vault's secrets, for this service's identity."""
    return SecretClient(
        vault_url=vault_url,
        credential=managed_identity(client_id),
        verify_challenge_resource=verify_challenge,
        **({"connection_verify": ca_bundle} if ca_bundle else {}),
    )


class Secret:
    """One secret of the vault that changes while the service runs; the vault is asked in a thread."""

    def __init__(self, settings: ServiceSettings, field: str) -> None:
        self._settings = settings
        self._name = f"{settings.service}-{field.replace('_', '-')}"

    async def read(self) -> str:
        """The value it has now; raises azure.core.exceptions.AzureError when the vault does not answer."""
        secret = await asyncio.to_thread(self._client.get_secret, self._name)
        return secret.value or ""

    async def write(self, value: str) -> None:
        """A new version, which is the value from now on; raises AzureError. Needs the right to set this secret."""
        await asyncio.to_thread(self._client.set_secret, self._name, value)

    @cached_property
    def _client(self) -> SecretClient:
        told = self._settings
        return secret_client(
            told.vault_url, client_id=told.client_id, verify_challenge=told.vault_verify_challenge,
            ca_bundle=told.ca_bundle,
        )


def managed_identity(client_id: str) -> TokenCredential:
    """This service's own identity, as Azure gives it to the container."""
    return ManagedIdentityCredential(client_id=client_id)
