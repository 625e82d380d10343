"""How a provider's answer to a message can fail: whether trying again may help, must not be tried, or is a gamble."""

import time
from collections.abc import Awaitable, Mapping

import httpx

#: A provider is given this long; the two document no idempotency key, so whoever waits less risks sending twice.
TIMEOUT_SECONDS = 10.0


class NotTaken(Exception):
    """The provider certainly did not take the message and may take it later; `retry_after` in seconds, 0 if unsaid."""

    def __init__(self, reason: str, *, retry_after: float = 0) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class Rejected(Exception):
    """The provider will never take this message; `reason` is a stable code without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ambiguous(Exception):
    """The provider was given the message and nobody knows whether it took it."""


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, from `Retry-After` (seconds) or SendGrid's `X-RateLimit-Reset` (Unix time); 0 if unsaid."""
    try:
        if after := headers.get("retry-after"):
            return max(0.0, float(after))
        if reset := headers.get("x-ratelimit-reset"):
            return max(0.0, float(reset) - time.time())
    except ValueError:
        return 0.0
    return 0.0


async def posting(request: Awaitable[httpx.Response]) -> httpx.Response:
    """A provider's final answer to a request; raises NotTaken when it is busy or away, Ambiguous when nobody knows."""
    try:
        answer = await request
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NotTaken("notifications.provider_away") from error
    except httpx.TransportError as error:
        raise Ambiguous from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise NotTaken("notifications.provider_busy", retry_after=retry_after(answer.headers))
    return answer
