"""Webhooks on their way to whoever waits for them: durable, signed when they leave, repeated until taken."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx

from lotpro_localcloud.providers.store import Delivery, Store

#: Stripe repeats a webhook for three days; here it is tried 12 times within half an hour, 1 s to 10 min apart.
ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 600.0
#: A receiver that hangs keeps only so many others waiting, and each for so long.
AT_ONCE = 8
TIMEOUT_SECONDS = 10.0

#: Answers the headers (signature and content type) for a body that is sent to an address now.
Sign = Callable[[str, bytes], Mapping[str, str]]


class Deliveries:
    """The queue and its sender. Like the real ones it may repeat a webhook and keeps no order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sign: dict[str, Sign] = {}
        self._wake = asyncio.Event()
        self._flying: dict[int, asyncio.Task[None]] = {}

    def signed_by(self, provider: str, sign: Sign) -> None:
        """Sign a provider's webhooks like this."""
        self._sign[provider] = sign

    def plan(self, provider: str, url: str, body: str) -> None:
        """Send as soon as may be; within `store.changes()` only if those stand."""
        self._store.plan_delivery(provider, url, body)
        # The sender looks after this step of the loop, when the transaction has ended.
        self._wake.set()

    async def run(self) -> None:
        """Send for ever; nothing runs while nothing waits."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:

            async def send(delivery: Delivery) -> None:
                try:
                    body = delivery.body.encode()
                    headers = dict(self._sign[delivery.provider](delivery.url, body))
                    answer = await client.post(delivery.url, content=body, headers=headers)
                    taken = answer.is_success
                except (httpx.HTTPError, httpx.InvalidURL):
                    taken = False
                self._settle(delivery, taken=taken)

            try:
                await self._send_when_due(send)
            finally:
                for task in self._flying.values():
                    task.cancel()

    async def _send_when_due(self, send: Callable[[Delivery], Coroutine[Any, Any, None]]) -> None:
        while True:
            self._wake.clear()
            now = time.time()
            waiting = [
                delivery
                for delivery in self._store.deliveries(limit=AT_ONCE + len(self._flying))
                if delivery.number not in self._flying
            ]
            for delivery in waiting[: AT_ONCE - len(self._flying)]:
                if delivery.next_at <= now:
                    self._flying[delivery.number] = asyncio.create_task(send(delivery))
            later = [delivery.next_at - now for delivery in waiting if delivery.number not in self._flying]
            try:
                async with asyncio.timeout(max(0.0, later[0]) if later and len(self._flying) < AT_ONCE else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _settle(self, delivery: Delivery, *, taken: bool) -> None:
        attempts = delivery.attempts + 1
        if taken or attempts >= ATTEMPTS:
            self._store.end_delivery(delivery.number)
        else:
            pause = min(2.0**delivery.attempts, LONGEST_PAUSE_SECONDS)
            self._store.postpone_delivery(delivery.number, attempts=attempts, until=time.time() + pause)
        del self._flying[delivery.number]
        self._wake.set()
