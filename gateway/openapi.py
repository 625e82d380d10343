"""Owns the suite's one OpenAPI document: joins the services' documents without losing or confusing any part."""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

Document = dict[str, Any]

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
DESCRIPTION = """\
The suite that a vehicle dealer runs its lot on. Every operation names the permission it needs and the problems it
answers with; errors are `application/problem+json` (RFC 9457) with a stable `code`.

Sign in with `POST /api/identity/v1/sessions`, then press **Authorize** and paste the access token.
The gateway itself answers with the codes `gateway.*`.
"""


class NotOpenAPI31(ValueError):
    """A document is not OpenAPI 3.1, and joining it would need a conversion."""


class PathClash(ValueError):
    """Two services claim one path."""


def join(documents: Mapping[str, Document], *, title: str = "lotPro", version: str = "1") -> Document:
    """One OpenAPI 3.1 document of the services' (name -> document), in the given order; the inputs are not changed.

    Operations are tagged by their service. A component that two services define differently is renamed to
    `<service>_<name>` in each; equal ones are kept once. There is one security scheme, `bearer`. The permission in
    `x-permission` becomes readable in the operation's description. Raises NotOpenAPI31 and PathClash.
    """
    for service, document in documents.items():
        if not str(document.get("openapi", "")).startswith("3.1"):
            raise NotOpenAPI31(f"{service}: {document.get('openapi')!r}")
    clashes = _clashes(documents)
    joined: Document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/", "description": "This gateway"}],
        "tags": [],
        "paths": {},
        "components": {},
    }
    for service, document in documents.items():
        own = _renamed(deepcopy(document), {key: f"{service}_{key[1]}" for key in clashes})
        joined["tags"].append({"name": service, "description": own["info"].get("description", own["info"]["title"])})
        for path, item in own.get("paths", {}).items():
            if path in joined["paths"]:
                raise PathClash(path)
            for operation in _operations(item):
                _fit_in(operation, service)
            joined["paths"][path] = item
        for kind, entries in own.get("components", {}).items():
            if kind != "securitySchemes":
                joined["components"].setdefault(kind, {}).update(entries)
    joined["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return joined


def _operations(item: Mapping[str, Any]) -> Iterator[Document]:
    return (operation for method, operation in item.items() if method in METHODS)


def _fit_in(operation: Document, service: str) -> None:
    """Tag an operation with its service, name its permission, and point it at the one security scheme."""
    operation["tags"] = [service]
    if operation.get("security"):
        operation["security"] = [{"bearer": []}]
    if permission := operation.get("x-permission"):
        note = f"Permission: `{permission}`"
        operation["description"] = "\n\n".join(part for part in (operation.get("description"), note) if part)


def _clashes(documents: Mapping[str, Document]) -> frozenset[tuple[str, str]]:
    """(kind, name) of the components that two documents define differently, or that refer to such a component."""
    seen: dict[tuple[str, str], set[str]] = {}
    refers: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for document in documents.values():
        for kind, entries in document.get("components", {}).items():
            if kind == "securitySchemes":
                continue
            for name, entry in entries.items():
                seen.setdefault((kind, name), set()).add(json.dumps(entry, sort_keys=True))
                refers.setdefault((kind, name), set()).update(_references(entry))
    clashing = {key for key, entries in seen.items() if len(entries) > 1}
    # An entry that reads the same in two services still differs when something it refers to does.
    while more := {key for key, targets in refers.items() if key not in clashing and targets & clashing}:
        clashing |= more
    return frozenset(clashing)


def _component(reference: object) -> tuple[str, str] | None:
    if isinstance(reference, str) and reference.startswith("#/components/"):
        kind, _, name = reference.removeprefix("#/components/").partition("/")
        return kind, name
    return None


def _references(node: object) -> Iterable[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            component = _component(value) if key == "$ref" else None
            if component:
                yield component
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _renamed(document: Document, names: Mapping[tuple[str, str], str]) -> Document:
    """The document with these components renamed, where they are defined and where they are referred to."""
    for kind, entries in document.get("components", {}).items():
        for name in [name for name in entries if (kind, name) in names]:
            entries[names[kind, name]] = entries.pop(name)
    _rename_references(document, names)
    return document


def _rename_references(node: object, names: Mapping[tuple[str, str], str]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            component = _component(value)
            if component in names and component is not None:
                node[key] = f"#/components/{component[0]}/{names[component]}"
            else:
                _rename_references(value, names)
    elif isinstance(node, list):
        for value in node:
            _rename_references(value, names)
