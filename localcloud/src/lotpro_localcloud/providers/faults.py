"""Faults on order: the next answers of a provider go wrong as asked, so that everything can be tried."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PROVIDERS = ("sendgrid", "twilio", "stripe")
#: A delay may not outlast any client's patience by much.
LONGEST_DELAY_SECONDS = 120.0
#: What a fault's numbers may be.
_BOUNDS = {
    "status": (400, 599), "retry_after": (0, 86_400), "delay": (0, LONGEST_DELAY_SECONDS), "times": (1, 100_000),
}

Fault = dict[str, Any]
Work = Callable[[], Awaitable[Response]]


class Faults:
    """Faults waiting for each provider, the next one first.

    `{"status": 429, "retry_after": 2}` (nothing is done), `{"delay": seconds}`, `{"drop": true}` (done, but the
    connection is cut without an answer); `delay` goes with the others, `times` repeats a fault.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {provider: deque() for provider in PROVIDERS}

    async def around(self, provider: str, work: Work) -> Response:
        """The provider's answer, spoiled by the next fault if one waits."""
        fault = self._next(provider)
        if "delay" in fault:
            await asyncio.sleep(min(float(fault["delay"]), LONGEST_DELAY_SECONDS))
        if "status" in fault:
            status = int(fault["status"])
            headers = {"Retry-After": str(fault.get("retry_after", 1))}
            return JSONResponse(_body(provider, status), status, headers)
        answer = await work()
        return _NoAnswer() if fault.get("drop") else answer

    def _next(self, provider: str) -> Fault:
        waiting = self._waiting[provider]
        if not waiting:
            return {}
        fault = waiting[0]
        fault["times"] -= 1
        if fault["times"] < 1:
            waiting.popleft()
        return fault

    def routes(self) -> list[Route]:
        """The control endpoints."""
        return [
            Route("/_ctl/faults", self._control_all, methods=["GET", "DELETE"]),
            Route("/_ctl/faults/{provider}", self._control, methods=["GET", "POST", "DELETE"]),
        ]

    async def _control_all(self, request: Request) -> Response:
        if request.method == "DELETE":
            for waiting in self._waiting.values():
                waiting.clear()
        return JSONResponse({provider: list(waiting) for provider, waiting in self._waiting.items()})

    async def _control(self, request: Request) -> Response:
        """GET lists, DELETE clears, POST appends a fault or a list of them."""
        waiting = self._waiting.get(request.path_params["provider"])
        if waiting is None:
            return JSONResponse({"error": f"providers are {', '.join(PROVIDERS)}"}, 404)
        if request.method == "POST":
            try:
                given = await request.json()
                faults = [_fault(one) for one in (given if isinstance(given, list) else [given])]
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
            waiting.extend(faults)
        elif request.method == "DELETE":
            waiting.clear()
        return JSONResponse(list(waiting))


def _fault(given: object) -> Fault:
    if not isinstance(given, dict) or not given or not given.keys() <= {*_BOUNDS, "drop"}:
        raise ValueError("a fault has status (and retry_after), delay, drop and times, and nothing else")
    fault = {"times": 1, **given}
    for name, (least, most) in _BOUNDS.items():
        value = fault.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"{name} must be a number from {least} to {most}")
    return fault


def _body(provider: str, status: int) -> Fault:
    """An error as this provider writes it."""
    if provider == "stripe":
        kind = {"type": "invalid_request_error", "code": "rate_limit"} if status == 429 else {"type": "api_error"}
        return {"error": {**kind, "message": "This fault was ordered."}}
    if provider == "twilio":
        code = 20429 if status == 429 else 20500
        return {"code": code, "message": "This fault was ordered.", "status": status}
    return {"errors": [{"message": "too many requests" if status == 429 else "This fault was ordered.", "field": None}]}


class _NoAnswer(Response):
    """Cuts the connection instead of answering. The server puts `hang_up` into the app's state."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"].state.hang_up(scope["client"])
        # uvicorn would answer 500 for us if we returned before it has noticed.
        while (await receive())["type"] != "http.disconnect":
            continue
