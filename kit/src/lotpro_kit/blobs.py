"""A service's container in Azure Blob Storage: contents below 1 MiB that are put, listed, read and deleted whole."""

from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ExponentialRetry

from lotpro_kit import errors, telemetry

#: Seconds. Somebody waits for the answer, so the SDK's own patience (20, 60, and 15 between tries) is too long.
CONNECT_SECONDS, READ_SECONDS = 5, 10
RETRIES = 2

log = telemetry.logger(__name__)


class BlobExists(errors.Conflict):
    """There is a blob of this name, and it was not to be replaced."""

    code = "blobs.exists"
    message = "This is stored already."


class BlobImmutable(errors.Conflict):
    """The container's retention policy lets nobody replace or delete what is in it."""

    code = "blobs.immutable"
    message = "This must stay as it is."


class BlobMissing(errors.NotFound):
    """There is no blob of this name."""

    code = "blobs.missing"


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored content; `etag` names this version of it."""

    content: bytes
    content_type: str
    etag: str


class Blobs:
    """One container. The platform makes it; a service may only use its own. Connects when it is first used."""

    def __init__(self, url: str, *, container: str, credential: AsyncTokenCredential, ca_bundle: str = "") -> None:
        """`url`: https://<account>.blob.core.windows.net; the credential is not closed here."""
        trusted: dict[str, Any] = {"connection_verify": ca_bundle} if ca_bundle else {}
        self._client = BlobServiceClient(
            url,
            credential,
            retry_policy=ExponentialRetry(
                initial_backoff=0, increment_base=1, retry_total=RETRIES, random_jitter_range=0
            ),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            **trusted,
        )
        self._container = container

    async def put(
        self, name: str, content: bytes, *, content_type: str, overwrite: bool = False, if_match: str | None = None
    ) -> str:
        """Store a content and answer its etag.

        Raises BlobExists when there is one and neither `overwrite` nor `if_match` is given, PreconditionFailed when it
        is not the version `if_match` names (any more), BlobImmutable when the container keeps what it has, Unavailable
        when storage does not answer.
        """
        condition: dict[str, Any] = {}
        if if_match:
            condition = {"etag": if_match, "match_condition": MatchConditions.IfNotModified}
        try:
            stored = await self._blob(name).upload_blob(
                content, length=len(content), overwrite=overwrite or bool(if_match),
                content_settings=ContentSettings(content_type=content_type), **condition,
            )
        except ResourceExistsError as error:
            raise (BlobImmutable() if _is_immutable(error) else BlobExists()) from error
        except HttpResponseError as error:
            if error.status_code == 412:
                raise errors.PreconditionFailed from error
            raise (BlobImmutable() if _is_immutable(error) else _unavailable(error)) from error
        except AzureError as error:
            raise _unavailable(error) from error
        return str(stored["etag"])

    async def get(self, name: str) -> Blob:
        """The content of this name; raises BlobMissing and Unavailable."""
        try:
            stream = await self._blob(name).download_blob()
            content = await stream.readall()
        except ResourceNotFoundError as error:
            raise (BlobMissing() if _is_of_blob(error) else _unavailable(error)) from error
        except AzureError as error:
            raise _unavailable(error) from error
        properties = stream.properties
        return Blob(content, str(properties.content_settings.content_type), str(properties.etag))

    async def delete(self, name: str) -> bool:
        """Delete the content of this name; False when there is none. Raises BlobImmutable and Unavailable."""
        try:
            await self._blob(name).delete_blob()
        except ResourceNotFoundError as error:
            if not _is_of_blob(error):
                raise _unavailable(error) from error
            return False
        except AzureError as error:
            raise (BlobImmutable() if _is_immutable(error) else _unavailable(error)) from error
        return True

    async def names(self, prefix: str, *, limit: int | None = None) -> list[str]:
        """The first names that begin with a prefix, in the order of their bytes; all of them without a limit.

        Raises Unavailable.
        """
        container = self._client.get_container_client(self._container)
        found: list[str] = []
        try:
            async for name in container.list_blob_names(name_starts_with=prefix, results_per_page=limit):
                if len(found) == limit:
                    break
                found.append(name)
        except AzureError as error:
            raise _unavailable(error) from error
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _blob(self, name: str) -> BlobClient:
        return self._client.get_blob_client(self._container, name)


def _is_of_blob(error: ResourceNotFoundError) -> bool:
    """Whether the blob is missing; a container that is missing is somebody's mistake, not an answer."""
    return str(getattr(error, "error_code", "")) in ("BlobNotFound", "StorageErrorCode.BLOB_NOT_FOUND")


def _is_immutable(error: AzureError) -> bool:
    return str(getattr(error, "error_code", "")) in (
        "BlobImmutableDueToPolicy", "StorageErrorCode.BLOB_IMMUTABLE_DUE_TO_POLICY"
    )


def _unavailable(error: AzureError) -> errors.Unavailable:
    code = str(getattr(error, "error_code", "") or "")
    log.warning("blob storage failed", error=type(error).__name__, code=code)
    return errors.Unavailable()
