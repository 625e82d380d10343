"""Passwords in breaches that are newer than the bundled list, asked of a range API (k-anonymity)."""

import hashlib
from collections.abc import Callable
from functools import cached_property

import httpx

from lotpro_identity.accounts.domain import normalised_password
from lotpro_kit import telemetry

#: A person waits; the bundled list has judged already.
SECONDS = 2.0
#: So many of SHA-1's 40 hexadecimal digits are told: some thousand passwords share them.
TOLD = 5
#: A range has some 2,000 lines of 40 characters; padding (`Add-Padding`) makes it no larger than that.
MAX_BYTES = 1_048_576

log = telemetry.logger(__name__)


class Breaches:
    """A range API such as Have I Been Pwned's, where whoever deploys names one; without one nothing is asked."""

    def __init__(self, url: Callable[[], str]) -> None:
        """`url` answers the address before `/<five digits>`, or nothing."""
        self._source = url

    @cached_property
    def _client(self) -> httpx.AsyncClient | None:
        url = self._source()
        return httpx.AsyncClient(base_url=url, timeout=SECONDS, follow_redirects=False) if url else None

    async def has(self, password: str) -> bool:
        """Whether a password is in a known breach. Only five digits of its digest leave us.

        An API that is away, slow or talks nonsense refuses nobody: that is logged, and answered by False.
        """
        if self._client is None:
            return False
        digest = hashlib.sha1(normalised_password(password).encode(), usedforsecurity=False).hexdigest().upper()
        try:
            return digest[TOLD:] in await self._suffixes(self._client, digest[:TOLD])
        except (httpx.HTTPError, ValueError) as error:
            log.warning("breached passwords not asked", error=type(error).__name__)
            return False

    async def _suffixes(self, client: httpx.AsyncClient, prefix: str) -> set[str]:
        """The other digits of the range; lines with a count of 0 are padding. Raises ValueError for anything else."""
        content = b""
        async with client.stream("GET", f"/{prefix}", headers={"add-padding": "true"}) as answer:
            if answer.status_code != 200:
                raise ValueError("no range")
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError("no range is that long")
        found = set()
        for line in content.decode("ascii").split():
            suffix, _, count = line.partition(":")
            if int(count):
                found.add(suffix.upper())
        return found

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
