"""How Stripe reads its forms: nested names, typed values, and errors that name the parameter."""

import re
from collections.abc import Collection, Mapping
from typing import Any

Json = dict[str, Any]

#: Stripe's limits on metadata.
METADATA_KEYS, METADATA_NAME, METADATA_VALUE = 50, 40, 500


class Refused(Exception):
    """An error in Stripe's shape."""

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str = "", kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        named = {name: value for name, value in (("code", code), ("param", param)) if value}
        self.body = {"error": {"type": kind, "message": message, **named}}


def missing(param: str) -> Refused:
    """A parameter that must be there is not."""
    return Refused(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def no_such(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Refused:
    """An id that nothing has: 404 when it is in the path, 400 when it is a parameter."""
    return Refused(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def nested(pairs: list[tuple[str, str]]) -> Json:
    """`items[0][price]=x` as {"items": {"0": {"price": "x"}}}; `types[]=x` counts up."""
    found: Json = {}
    for name, value in pairs:
        path = re.findall(r"^[^\[]+|(?<=\[)[^\]]*(?=\])", name) or [name]
        place = found
        for part in path[:-1]:
            place = place.setdefault(part or str(len(place)), {})
            if not isinstance(place, dict):
                raise Refused(400, f"Invalid object: {name}", param=path[0])
        place[path[-1] or str(len(place))] = value
    return found


class Form:
    """The parameters of a request. A name that is not `known` is refused, as Stripe does: nothing is ignored."""

    def __init__(self, given: Json, known: Collection[str], *, within: str = "") -> None:
        self._given, self._within = given, within
        for name in given:
            if name not in known:
                raise Refused(
                    400, f"Received unknown parameter: {self._path(name)}", code="parameter_unknown",
                    param=self._path(name),
                )

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str) -> str | None:
        """A text, None when it is absent or empty (empty means: unset it)."""
        value = self._given.get(name)
        if isinstance(value, dict):
            raise Refused(400, f"Invalid string: {self._path(name)}", param=self._path(name))
        return value or None

    def needed(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise missing(self._path(name))
        return value

    def number(self, name: str, *, least: int = 0) -> int | None:
        """A whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise Refused(
                400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=self._path(name)
            )
        if int(value) < least:
            raise Refused(
                400, f"This value must be greater than or equal to {least}.", code="parameter_invalid_integer",
                param=self._path(name),
            )
        return int(value)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise Refused(400, f"Invalid boolean: {value}", param=self._path(name))
        return None if value is None else value == "true"

    def one_of(self, name: str, choices: Collection[str], default: str) -> str:
        """One of a few words."""
        value = self.text(name) or default
        if value not in choices:
            listed = ", ".join(sorted(choices))
            raise Refused(400, f"Invalid {self._path(name)}: must be one of {listed}", param=self._path(name))
        return value

    def form(self, name: str, known: Collection[str]) -> "Form":
        """The form inside a parameter; empty when it is absent."""
        value = self._given.get(name) or {}
        if not isinstance(value, dict):
            raise Refused(400, f"Invalid object: {self._path(name)}", param=self._path(name))
        return Form(value, known, within=self._path(name))

    def forms(self, name: str, known: Collection[str]) -> list["Form"]:
        """The forms of a list, in order."""
        value = self._list(name)
        inside = []
        for number, entry in value:
            if not isinstance(entry, dict):
                raise Refused(400, f"Invalid object: {self._path(name)}[{number}]", param=self._path(name))
            inside.append(Form(entry, known, within=f"{self._path(name)}[{number}]"))
        return inside

    def texts(self, name: str) -> list[str]:
        """The texts of a list, in order."""
        return [str(entry) for _, entry in self._list(name)]

    def metadata(self, before: Mapping[str, str] | None = None) -> dict[str, str]:
        """Metadata after this request: an empty value removes a key, an empty parameter removes all."""
        if "metadata" not in self._given:
            return dict(before or {})
        given = self._given["metadata"]
        if given == "":
            return {}
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise Refused(400, "Invalid object: metadata", param="metadata")
        merged = {name: value for name, value in {**(before or {}), **given}.items() if value != ""}
        too_long = any(len(name) > METADATA_NAME or len(value) > METADATA_VALUE for name, value in merged.items())
        if len(merged) > METADATA_KEYS or too_long:
            raise Refused(
                400, f"Metadata can have up to {METADATA_KEYS} keys, of up to {METADATA_NAME} characters, with values"
                f" of up to {METADATA_VALUE}.", param="metadata",
            )
        return merged

    def param(self, name: str) -> str:
        """A parameter as errors name it."""
        return self._path(name)

    def _list(self, name: str) -> list[tuple[str, Any]]:
        value = self._given.get(name) or {}
        if not isinstance(value, dict) or not all(number.isdigit() for number in value):
            raise Refused(400, f"Invalid array: {self._path(name)}", param=self._path(name))
        return sorted(value.items(), key=lambda pair: int(pair[0]))

    def _path(self, name: str) -> str:
        return f"{self._within}[{name}]" if self._within else name
