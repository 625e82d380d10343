"""SCIM users as a directory describes them, and how a PATCH changes one; pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from lotpro_kit import errors
from lotpro_kit.caller import Caller

#: Tokens are renewed at least once a year, and by their owners before that.
MAX_TOKEN_DAYS = 365
#: A sync runs every 20 to 40 minutes; that a token was used is written once an hour.
USE_NOTED = timedelta(hours=1)
#: How many tokens an organisation may have at once: one in use, one it is replaced by, and some in reserve.
MAX_TOKENS = 10
MAX_TEXT = 254
MAX_OPERATIONS = 100
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class ScimInvalid(errors.Invalid):
    """A request that is no good SCIM; `scim_type` is RFC 7644's word for it (table 9)."""

    code = "identity.scim_invalid_value"
    message = "A value is missing or cannot be used."
    scim_type: ClassVar[str] = "invalidValue"


class InvalidValue(ScimInvalid):
    """A value is missing or of the wrong kind."""


class InvalidFilter(ScimInvalid):
    """The filter cannot be read or asks for what cannot be filtered by."""

    code = "identity.scim_invalid_filter"
    message = "The filter cannot be read."
    scim_type = "invalidFilter"


class InvalidPath(ScimInvalid):
    """The path of a PATCH names no attribute of a user."""

    code = "identity.scim_invalid_path"
    message = "The path names no attribute of a user."
    scim_type = "invalidPath"


class InvalidSyntax(ScimInvalid):
    """The body is no SCIM message."""

    code = "identity.scim_invalid_syntax"
    message = "The body is not a SCIM message."
    scim_type = "invalidSyntax"


class DomainUnverified(ScimInvalid):
    """People are made members only where their address is in a domain that the organisation has proven."""

    code = "identity.scim_domain_unverified"
    message = "The address is in no domain that your organisation has verified."


class ScimTaken(errors.Conflict):
    """The userName or the person is there already, or the address cannot be used."""

    code = "identity.scim_uniqueness"
    message = "This userName or e-mail address is in use."
    scim_type: ClassVar[str] = "uniqueness"


class OwnerUntouchable(errors.Forbidden):
    """Owners are made and unmade by owners, never by a directory."""

    code = "identity.scim_owner"
    message = "This person owns the organisation; a directory cannot change them."


class TokenInvalid(errors.Unauthenticated):
    """The SCIM token is unknown, revoked or expired."""

    code = "identity.scim_token_invalid"
    message = "The provisioning token is not valid (any more)."


class TooManyTokens(errors.Conflict):
    """The organisation has as many tokens as it may have."""

    code = "identity.scim_too_many_tokens"
    message = "Your organisation has as many provisioning tokens as it may have. Revoke one first."


class RoleNotProvisionable(errors.Invalid):
    """A directory and a sign-in through a provider give roles in a store, and nothing above."""

    code = "identity.role_not_provisionable"
    message = "Name a role in a store; owners and compliance officers are invited in person."


@dataclass(frozen=True, slots=True)
class Grant:
    """What a SCIM token lets its holder do: provision one organisation's people, with one role in one store."""

    token_id: UUID
    role: str
    store_id: UUID
    caller: Caller

    @property
    def org_id(self) -> UUID:
        """Whose people they are."""
        assert self.caller.org_id is not None
        return self.caller.org_id


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the directory describes one."""

    user_name: str
    email: str
    external_id: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    formatted_name: str | None = None
    active: bool = True

    @property
    def name(self) -> str:
        """What others call the person."""
        spelled = " ".join(part for part in (self.given_name, self.family_name) if part)
        return (self.formatted_name or spelled or self.user_name)[:200]


def is_storable(text: str) -> bool:
    """Whether a text has neither control characters nor halves of characters, which no database takes."""
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


def read_person(body: Mapping[str, Any]) -> Person:
    """A user from a body (POST, PUT); attributes we do not keep are ignored (RFC 7644, 3.3). Raises InvalidValue."""
    given = _lower(body)
    name = given.get("name")
    if name is not None and not isinstance(name, Mapping):
        raise InvalidValue("name is an object.")
    parts = _lower(name or {})
    user_name = _text(given.get("username"), "userName")
    if user_name is None:
        raise InvalidValue("userName is missing.")
    return Person(
        user_name=user_name, email=_email(given.get("emails")) or user_name,
        external_id=_text(given.get("externalid"), "externalId"),
        given_name=_text(parts.get("givenname"), "name.givenName"),
        family_name=_text(parts.get("familyname"), "name.familyName"),
        formatted_name=_text(given.get("displayname"), "displayName")
        or _text(parts.get("formatted"), "name.formatted"),
        active=read_active(given.get("active", True)),
    )


def read_active(value: object) -> bool:
    """A boolean, or one as text, which is how Azure AD sends it; raises InvalidValue."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise InvalidValue("active is true or false.")


def patched(person: Person, operations: Sequence[Mapping[str, Any]]) -> Person:
    """The person after the operations, in their order; raises InvalidValue, InvalidPath and InvalidSyntax."""
    if not operations or len(operations) > MAX_OPERATIONS:
        raise InvalidSyntax(f"A PATCH has 1 to {MAX_OPERATIONS} Operations.")
    for operation in operations:
        person = _apply(person, _lower(operation))
    return person


#: Attributes of RFC 7643's User that we do not keep: directories send them unasked, so they are ignored.
_IGNORED = re.compile(
    r"(?:emails|phonenumbers|addresses|title|nickname|profileurl|usertype|preferredlanguage|locale|timezone|ims|photos"
    r"|groups|entitlements|roles|x509certificates|password|schemas|id|meta|name\.middlename|name\.honorific(?:prefix|suffix)"
    r"|urn:ietf:params:scim:schemas:extension:.*)(?:[.\[:].*)?",
    re.DOTALL,
)
_FIELDS = {
    "username": "user_name", "externalid": "external_id", "active": "active", "displayname": "formatted_name",
    "name.formatted": "formatted_name", "name.givenname": "given_name", "name.familyname": "family_name",
}


def _apply(person: Person, operation: Mapping[str, Any]) -> Person:
    verb, path, value = operation.get("op"), operation.get("path"), operation.get("value")
    if not isinstance(verb, str) or verb.lower() not in {"add", "replace", "remove"}:
        raise InvalidSyntax("An operation's op is add, replace or remove.")
    if path is not None and (not isinstance(path, str) or len(path) > MAX_TEXT):
        raise InvalidPath
    if verb.lower() == "remove":
        if not path:
            raise InvalidPath("Say what is to be removed.")
        return _set(person, path, None)
    if path:
        return _set(person, path, value)
    if not isinstance(value, Mapping):
        raise InvalidValue("Without a path the value is an object.")
    for name, entry in value.items():
        person = _set(person, str(name), entry)
    return person


def _set(person: Person, path: str, value: object) -> Person:
    name = path.lower().removeprefix(f"{USER_SCHEMA.lower()}:")
    if name == "name":
        if value is None:
            return replace(person, given_name=None, family_name=None, formatted_name=None)
        if not isinstance(value, Mapping):
            raise InvalidValue("name is an object.")
        for part, entry in value.items():
            person = _set(person, f"name.{part}", entry)
        return person
    field = _FIELDS.get(name)
    if field is None:
        if _IGNORED.fullmatch(name):
            return person
        raise InvalidPath
    if field == "active":
        # Nothing is said about somebody whose `active` was removed: RFC 7643 leaves it to us, and in is not out.
        return replace(person, active=read_active(True if value is None else value))
    text = _text(value, path)
    if field == "user_name" and text is None:
        raise InvalidValue("userName cannot be removed.")
    changed: dict[str, Any] = {field: text}
    return replace(person, **changed)


def _lower(body: Mapping[str, Any]) -> dict[str, Any]:
    """Names of attributes are compared without regard to case (RFC 7643, 2.1)."""
    return {str(name).lower(): value for name, value in body.items()}


def _text(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or not is_storable(value):
        called = name[:64] if is_storable(name) else "A value"
        raise InvalidValue(f"{called} is a text of at most {MAX_TEXT} characters.")
    return value.strip() or None


def _email(value: object) -> str | None:
    """The primary address, else the first."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise InvalidValue("emails is a list of objects.")
    entries = [_lower(entry) for entry in value]
    chosen = next((entry for entry in entries if entry.get("primary") is True), entries[0] if entries else {})
    return _text(chosen.get("value"), "emails.value")
