"""SMS through Twilio's own SDK, over httpx so that there is one HTTP client with timeouts in the process."""

import logging
from functools import cached_property
from typing import Any, Protocol

import httpx
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from lotpro_notifications.clients.outcome import NotTaken, Rejected, posting
from lotpro_notifications.settings import Settings


class Texting(Protocol):
    """Takes SMS."""

    async def send(self, *, to: str, text: str) -> str:
        """Send an SMS and answer the provider's id; raises NotTaken, Rejected and Ambiguous."""
        ...


class Twilio:
    """Twilio's Messages API."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings) -> None:
        self._http, self._settings = http, settings

    async def send(self, *, to: str, text: str) -> str:
        try:
            sent = await self._client.messages.create_async(
                to=to, from_=self._settings.twilio_from_number, body=text
            )
        except TwilioRestException as error:
            if error.status in (401, 403):
                # Our account is wrong, not the message: it waits until that is put right.
                raise NotTaken("notifications.unauthorised") from error
            # For example 21211 (no such number) and 21610 (the person answered STOP).
            raise Rejected(f"notifications.sms_rejected_{error.code}") from error
        return str(sent.sid)

    @cached_property
    def _client(self) -> Client:
        settings = self._settings
        client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=_Transport(self._http),
        )
        client.api.base_url = settings.twilio_api_url
        return client


class _Transport(AsyncHttpClient):  # type: ignore[misc] # the SDK carries no types
    """What the SDK sends through. It logs nothing: a request's body is a person's number and code."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._http = http

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the SDK's signature
        allow_redirects: bool = False,
    ) -> Response:
        """The provider's final answer; raises NotTaken and Ambiguous. Timeouts are the HTTP client's."""
        form: Any = data
        query: Any = params
        answer = await posting(
            self._http.request(
                method.upper(), uri, params=query, data=form, headers=headers, auth=auth,
                follow_redirects=allow_redirects,
            )
        )
        return Response(answer.status_code, answer.text, answer.headers)
