"""The inbox: every message that was sent, for a person to read and for a client to ask."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lotpro_localcloud.providers.store import Store

PAGE = Path(__file__).parent / "page"
#: Everything the page needs comes from here; the mail itself runs in a sandboxed frame without scripts.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:;"
    " frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
MAIL_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
KEEP_ALIVE_SECONDS = 25


class Inbox:
    """The messages and whoever watches them come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watching: set[asyncio.Event] = set()

    def arrived(
        self, kind: str, *, sender: str, recipient: str, subject: str = "", body: str = "", html: str = ""
    ) -> None:
        """A message came."""
        self._store.add_message(kind, sender=sender, recipient=recipient, subject=subject, body=body, html=html)
        for watcher in self._watching:
            watcher.set()

    def routes(self) -> list[Route]:
        """The page and its API."""
        return [
            Route("/", lambda _: RedirectResponse("/inbox")),
            Route("/inbox", self._page),
            Route("/inbox/messages", self._messages, methods=["GET", "DELETE"]),
            Route("/inbox/messages/{id}", self._message),
            Route("/inbox/messages/{id}/html", self._html),
            Route("/inbox/events", self._events),
            Route("/inbox/{file}", self._asset),
        ]

    async def _page(self, _: Request) -> Response:
        return FileResponse(PAGE / "inbox.html", headers={"Content-Security-Policy": CSP})

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in ("inbox.js", "inbox.css"):
            return Response(status_code=404)
        return FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})

    async def _messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._store.clear_messages()
            return Response(status_code=204)
        query = request.query_params
        found = self._store.messages(
            to=query.get("to", ""), kind=query.get("kind", ""), text=query.get("q", ""),
            after=int(query.get("after", "0")), limit=min(int(query.get("limit", "100")), 500),
        )
        return JSONResponse(found)

    async def _message(self, request: Request) -> Response:
        found = self._store.message(request.path_params["id"])
        return JSONResponse(found) if found else Response(status_code=404)

    async def _html(self, request: Request) -> Response:
        """The mail as its reader sees it; the policy forbids it to run or load anything."""
        found = self._store.message(request.path_params["id"])
        if found is None:
            return Response(status_code=404)
        return Response(found["html"], media_type="text/html", headers={"Content-Security-Policy": MAIL_CSP})

    async def _events(self, _: Request) -> Response:
        """Server-sent events: one for each arrival; nothing but a heartbeat otherwise."""
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _stream(self) -> AsyncIterator[str]:
        arrival = asyncio.Event()
        self._watching.add(arrival)
        try:
            yield ": hello\n\n"
            while True:
                try:
                    await asyncio.wait_for(arrival.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                arrival.clear()
                yield "event: arrived\ndata: \n\n"
        finally:
            self._watching.discard(arrival)
