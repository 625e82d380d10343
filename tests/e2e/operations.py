"""Every operation of the joined OpenAPI document, and requests that fit it well enough to be judged by their owner."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.e2e.stack import ROOT

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    name: str
    method: str
    path: str
    body: Json | None
    document: Json

    @property
    def parameters(self) -> list[str]:
        """Names in the path: `vehicle_id` of `/vehicles/{vehicle_id}:sell`."""
        return re.findall(r"{(\w+)}", self.path)

    def path_with(self, ids: Mapping[str, str]) -> str:
        """The path with these ids; a name nobody knows gets an id that nothing has."""
        return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], NOBODYS), self.path)

    def body_with(self, ids: Mapping[str, str]) -> Any:
        """A body by the schema's own examples, its references pointing at these ids; None where there is none."""
        return _example(self.body, "", ids, self.document) if self.body else None


#: An id that nothing has.
NOBODYS = "0192e4a0-0000-7000-8000-000000000000"


def operations(document: Json) -> Iterator[Operation]:
    """All of them, in the document's order."""
    for path, item in document["paths"].items():
        for method, described in item.items():
            content = described.get("requestBody", {}).get("content", {})
            body = next((entry["schema"] for kind, entry in content.items() if "json" in kind), None)
            yield Operation(described["operationId"], method.upper(), path, body, document)


def public() -> set[tuple[str, str]]:
    """(method, path) of what the gateway lets through without a token; `/*` at the end where all below is meant."""
    rows = yaml.safe_load((ROOT / "gateway" / "public-paths.yaml").read_text(encoding="utf-8"))
    return {(row["method"], row.get("path") or f"{row['below']}/*") for row in rows}


def is_public(operation: Operation) -> bool:
    """Whether a stranger may call it."""
    return any(
        operation.method == method
        and (operation.path == path or (path.endswith("/*") and f"{operation.path}/".startswith(path[:-1])))
        for method, path in public()
    )


def _example(schema: Json, name: str, ids: Mapping[str, str], document: Json) -> Any:
    """A value that a schema allows."""
    if "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _example({**found, **{k: v for k, v in schema.items() if k != "$ref"}}, name, ids, document)
    if name in ids:
        return ids[name]
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _example(schema[several][0], name, ids, document)
    return _by_type(schema, name, ids, document)


def _by_type(schema: Json, name: str, ids: Mapping[str, str], document: Json) -> Any:
    match schema.get("type"):
        case "object":
            needed = [*schema.get("required", []), *(field for field in schema.get("properties", {}) if field in ids)]
            properties = schema.get("properties", {})
            return {field: _example(properties[field], field, ids, document) for field in dict.fromkeys(needed)}
        case "array":
            return [_example(schema["items"], name, ids, document)] if schema.get("minItems") else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            return NOBODYS if schema.get("format") == "uuid" else "x" * max(schema.get("minLength", 1), 1)
