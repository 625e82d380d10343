"""Faults on order: the next answers of a provider go wrong as asked, so that everything can be tried."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROVIDERS = ("sendgrid", "twilio", "stripe")
#: A delay may not outlast any client's patience by much.
LONGEST_DELAY = 120.0


class Faults:
    """Faults waiting for each provider: {"status": 429}, {"delay": seconds}, {"drop": true} (done, but no answer)."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[dict[str, Any]]] = defaultdict(deque)

    async def around(self, provider: str, work: Callable[[], Awaitable[Response]]) -> Response:
        """The provider's answer, spoiled by the next fault if one waits."""
        fault = self._waiting[provider].popleft() if self._waiting[provider] else {}
        if "delay" in fault:
            await asyncio.sleep(min(float(fault["delay"]), LONGEST_DELAY))
        if "status" in fault:
            headers = {"Retry-After": str(fault.get("retry_after", 1))}
            return JSONResponse({"errors": [{"message": "fault on order"}]}, int(fault["status"]), headers)
        answer = await work()
        if fault.get("drop"):
            raise ConnectionAbortedError("the answer is dropped on order")
        return answer

    def routes(self) -> list[Route]:
        """The control endpoint."""
        return [Route("/_ctl/faults/{provider}", self._control, methods=["GET", "POST", "DELETE"])]

    async def _control(self, request: Request) -> Response:
        provider = request.path_params["provider"]
        if provider not in PROVIDERS:
            return JSONResponse({"error": f"providers are {', '.join(PROVIDERS)}"}, 404)
        if request.method == "POST":
            given = await request.json()
            self._waiting[provider].extend(given if isinstance(given, list) else [given])
        elif request.method == "DELETE":
            self._waiting[provider].clear()
        return JSONResponse(list(self._waiting[provider]))
