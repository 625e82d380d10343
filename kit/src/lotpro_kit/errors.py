"""The kinds of refusal a service can give, each with a stable code and no knowledge of any transport."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `pointer` is an RFC 6901 JSON pointer into the request."""

    pointer: str
    code: str
    message: str


class Error(Exception):
    """A refusal. Subclasses fix `code` (stable, `service.what_is_wrong`) and `message` (for a person)."""

    code: ClassVar[str] = "internal.error"
    message: ClassVar[str] = "Something went wrong on our side."

    def __init__(self, message: str | None = None, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message or self.message)
        self.errors = errors


class Invalid(Error):
    """The request can never succeed as it is."""

    code = "request.invalid"
    message = "The request is not valid."


class Unauthenticated(Error):
    """It is not known who is asking."""

    code = "auth.unauthenticated"
    message = "Sign in first."


class Forbidden(Error):
    """It is known who is asking, and they may not."""

    code = "auth.forbidden"
    message = "You do not have the permission this needs."


class NotFound(Error):
    """There is no such thing, or it belongs to another tenant; the two are never told apart."""

    code = "request.not_found"
    message = "There is nothing here."


class Conflict(Error):
    """The request contradicts the present state."""

    code = "request.conflict"
    message = "That contradicts the present state."


class PreconditionFailed(Error):
    """If-Match names a version that is no longer the present one."""

    code = "request.stale"
    message = "It was changed in the meantime. Read it again and repeat your change."


class PreconditionRequired(Error):
    """A write to an existing resource came without If-Match."""

    code = "request.if_match_required"
    message = "Send the ETag you read as If-Match."


class RateLimited(Error):
    """Too many tries; `retry_after` is in seconds."""

    code = "request.rate_limited"
    message = "Too many tries. Wait a little."

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Error):
    """Something this service needs does not answer; the same request may succeed later."""

    code = "service.unavailable"
    message = "This is not available right now. Try again soon."
