"""Signed keyset cursors: where a list goes on, bound to the tenant, the filter and the sort."""

import base64
import hmac
import json
from collections.abc import Sequence
from uuid import UUID

from lotpro_kit.caller import Caller
from lotpro_kit.errors import Invalid

_MAC = 16


class InvalidCursor(Invalid):
    """The cursor was altered, or belongs to another list."""

    code = "request.invalid_cursor"
    message = "The cursor does not belong to this list. Start again without one."


class Cursors:
    """Makes and reads cursors with a key from Key Vault."""

    def __init__(self, key: str) -> None:
        self._key = base64.b64decode(key)

    def write(self, caller: Caller, listing: str, values: Sequence[str | int | None]) -> str:
        """A cursor after the row with these sort values. `listing` spells the list with its filter and sort."""
        body = json.dumps(list(values), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(caller, listing, body) + body).decode().rstrip("=")

    def read(self, caller: Caller, listing: str, cursor: str) -> list[str | int | None]:
        """The sort values a cursor stands for; raises InvalidCursor."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError as error:
            raise InvalidCursor from error
        mac, body = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(caller, listing, body)):
            raise InvalidCursor
        values: list[str | int | None] = json.loads(body)
        return values

    def _mac(self, caller: Caller, listing: str, body: bytes) -> bytes:
        tenant: UUID | None = caller.org_id or caller.user_id
        return hmac.digest(self._key, f"{tenant}\x00{listing}\x00".encode() + body, "sha256")[:_MAC]
