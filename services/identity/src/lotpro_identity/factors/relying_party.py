"""Who asks an authenticator; pure."""

from collections.abc import Callable
from functools import cached_property
from urllib.parse import urlsplit


class RelyingParty:
    """Us, as an authenticator knows us: passkeys are bound to this domain and answer only pages of these origins."""

    def __init__(self, origins: Callable[[], tuple[str, ...]]) -> None:
        """`origins` answers the addresses of our pages; the first one names the domain."""
        self._source = origins

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """The origins, without a trailing slash."""
        return tuple(origin.rstrip("/") for origin in self._source())

    @property
    def id(self) -> str:
        """The domain."""
        return urlsplit(self.origins[0]).hostname or ""
