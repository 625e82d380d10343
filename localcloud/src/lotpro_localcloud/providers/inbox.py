"""The inbox: every message that was sent, for a person to read and for a client to ask."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lotpro_localcloud.providers.store import Store

PAGE = Path(__file__).parent / "page"
#: Everything the page needs comes from here.
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A mail never runs a script, sends a form or loads anything; its links open in a tab of their own.
MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
LARGEST_PAGE = 500
#: A comment this often keeps a watcher's connection open, and finds out when it has gone.
KEEP_ALIVE_SECONDS = 25


class Inbox:
    """The messages and whoever watches them come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watching: set[asyncio.Event] = set()

    def arrived(
        self, kind: str, *, sender: str, recipient: str, subject: str = "", body: str = "", html: str = ""
    ) -> None:
        """A message came; within `store.changes()` only if those stand."""
        self._store.add_message(kind, sender=sender, recipient=recipient, subject=subject, body=body, html=html)
        self._tell()

    def _tell(self) -> None:
        for watcher in self._watching:
            watcher.set()

    def routes(self) -> list[Route]:
        """The page and its API."""
        return [
            Route("/", _to_the_page),
            Route("/inbox", self._page),
            Route("/inbox/messages", self._messages, methods=["GET", "DELETE"]),
            Route("/inbox/messages/{id}", self._message),
            Route("/inbox/messages/{id}/html", self._html),
            Route("/inbox/events", self._events),
            Route("/inbox/{file}", self._asset),
        ]

    async def _page(self, _: Request) -> Response:
        return FileResponse(PAGE / "inbox.html", headers={**HEADERS, "Content-Security-Policy": PAGE_CSP})

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in ("inbox.js", "inbox.css", "icon.svg"):
            return Response(status_code=404)
        return FileResponse(PAGE / name, headers=HEADERS)

    async def _messages(self, request: Request) -> Response:
        """GET: messages, newest first. `to` one person, `kind` email or sms, `q` words, `after` a message's number."""
        if request.method == "DELETE":
            self._store.clear_messages()
            self._tell()
            return Response(status_code=204)
        query = request.query_params
        try:
            after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        except ValueError:
            return JSONResponse({"error": "after and limit are whole numbers"}, 400)
        found = self._store.messages(
            to=query.get("to", ""), kind=query.get("kind", ""), text=query.get("q", ""), after=after,
            limit=max(1, min(limit, LARGEST_PAGE)),
        )
        return JSONResponse(found, headers=HEADERS)

    async def _message(self, request: Request) -> Response:
        found = self._store.message(request.path_params["id"])
        return JSONResponse(found, headers=HEADERS) if found else Response(status_code=404)

    async def _html(self, request: Request) -> Response:
        """The mail as its reader sees it."""
        found = self._store.message(request.path_params["id"])
        if found is None:
            return Response(status_code=404)
        return Response(
            f'<base target="_blank">{found["html"]}', media_type="text/html",
            headers={**HEADERS, "Content-Security-Policy": MAIL_CSP},
        )

    async def _events(self, _: Request) -> Response:
        """Server-sent events: one for each change; nothing but a heartbeat otherwise."""
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _stream(self) -> AsyncIterator[str]:
        change = asyncio.Event()
        self._watching.add(change)
        try:
            yield ": hello\n\n"
            while True:
                try:
                    await asyncio.wait_for(change.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                change.clear()
                yield "event: changed\ndata: \n\n"
        finally:
            self._watching.discard(change)


async def _to_the_page(_: Request) -> Response:
    return RedirectResponse("/inbox")
