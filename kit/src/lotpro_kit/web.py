"""Fetching what strangers name: public https addresses only, looked at after the name was resolved (OWASP SSRF)."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

import httpx

MAX_BYTES = 262_144
#: A person waits at the other end.
SECONDS, TOTAL_SECONDS = 5.0, 10.0
#: Addresses that are globally routable and yet lead inside: Azure's wire server, and IPv4 dressed up as IPv6.
_INSIDE = tuple(
    ipaddress.ip_network(network)
    for network in ("168.63.129.16/32", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class Unreachable(Exception):
    """It does not answer, answers too much, or is where we do not go. Which, is not told: it would map our network."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer."""

    status: int
    body: bytes


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    inside = any(found in network for network in _INSIDE if network.version == found.version)
    return found.is_global and not found.is_multicast and not inside


async def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, looked up once: connect to one of these, or the name may mean another by then.

    Raises Unreachable when there is none, or when any of them is inside.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise Unreachable
    return addresses


class Web:
    """The public web. `sandbox` names origins that are exempt, for a workstation; production has none."""

    def __init__(
        self,
        sandbox: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]] = lambda: ((), ()),
        *,
        connections: int = 20,
        sandbox_trust: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        """`sandbox` answers the exempt origins, and `domain=origin` entries: where a domain's pages are instead.

        `connections` may be open at once. Certificates of exempt origins are looked at with `sandbox_trust`, if given.
        """
        self._settings, self._connections, self._trust = sandbox, connections, sandbox_trust

    @cached_property
    def _sandbox(self) -> frozenset[str]:
        return frozenset(self._settings()[0])

    @cached_property
    def _domains(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self._settings()[1])

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=_PublicOnly(
                self._sandbox | frozenset(self._domains.values()), connections=self._connections, trust=self._trust()
            ),
            timeout=SECONDS, follow_redirects=False, trust_env=False,
        )

    def is_allowed(self, url: str) -> bool:
        """Whether an address has a form that is fetched: https, a host name, nobody's password, no fragment."""
        try:
            parts = urlsplit(url)
            origin, host = f"{parts.scheme}://{parts.netloc}", parts.hostname
            # Reading the port checks it.
            plain = parts.port != 0 and not parts.username and not parts.password and not parts.fragment
        except ValueError:
            return False
        if not host or not plain or any(ord(character) <= 32 for character in url):
            return False
        return origin in self._sandbox or parts.scheme == "https"

    def page_of(self, domain: str, path: str) -> str:
        """The address of a domain's page."""
        return self._domains.get(domain, f"https://{domain}") + path

    async def get(self, url: str) -> Fetched:
        """Fetch; raises Unreachable."""
        return await self._fetch("GET", url)

    async def post(self, url: str, body: str, headers: Mapping[str, str]) -> Fetched:
        """Send a form; raises Unreachable."""
        return await self.send(url, body.encode(), {**headers, "content-type": "application/x-www-form-urlencoded"})

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Fetched:
        """Send a body of any type, which the headers name; raises Unreachable."""
        return await self._fetch("POST", url, body, headers)

    async def _fetch(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Fetched:
        asked = {"accept": "application/json, text/plain", **(headers or {})}
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                async with self._client.stream(method, url, content=body or None, headers=asked) as answer:
                    content = b""
                    async for chunk in answer.aiter_bytes():
                        content += chunk
                        if len(content) > MAX_BYTES:
                            raise Unreachable
                return Fetched(answer.status_code, content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, UnicodeError) as error:
            raise Unreachable from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


class _PublicOnly(httpx.AsyncBaseTransport):
    """Resolves a name once, refuses it when any of its addresses is inside, and connects to the one it looked at."""

    def __init__(self, sandbox: frozenset[str], *, connections: int, trust: ssl.SSLContext | None) -> None:
        self._sandbox = sandbox
        # A connection is kept for its IP address, and must not serve another name at the same one.
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(limits=limits)
        self._exempt = httpx.AsyncHTTPTransport(limits=limits, verify=trust) if trust is not None else self._inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if f"{url.scheme}://{url.netloc.decode()}" in self._sandbox:
            return await self._exempt.handle_async_request(request)
        if url.scheme != "https":
            raise Unreachable
        addresses = await public_addresses(url.host, url.port or 443)
        # The certificate is still asked for by name.
        request.extensions = {**request.extensions, "sni_hostname": url.raw_host.decode()}
        request.url = url.copy_with(host=addresses[0])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
        await self._exempt.aclose()
