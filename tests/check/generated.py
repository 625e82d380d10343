"""What is made from something else and committed: contracts, OpenAPI documents, and the tables of docs/."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message_factory import GetMessageClass

import lotpro_policy
from gateway import openapi
from gateway.render import SERVICES
from lotpro.options.v1 import options_pb2
from lotpro_kit import api, errors, outbox, service

ROOT = Path(__file__).resolve().parents[2]


def files() -> dict[str, str]:
    """Path below the repository -> what it must contain now."""
    document = _document()
    return _contracts() | {
        "gateway/openapi.json": json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        "docs/service-map.txt": service_map(),
        "docs/permissions.md": permissions(document),
        "docs/errors.md": refusals(),
        "docs/events.md": events(),
    }


def _contracts() -> dict[str, str]:
    """proto/gen, generated beside."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "proto"
        shutil.copytree(ROOT / "proto", copy, ignore=shutil.ignore_patterns("gen"))
        subprocess.run(
            ["/bin/sh", str(copy / "generate.sh")], check=True, env={**os.environ, "PYTHON": sys.executable}
        )
        return {
            f"proto/gen/{file.relative_to(copy / 'gen')}": file.read_text(encoding="utf-8")
            for file in _python_files(copy / "gen")
        }


def _python_files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.suffix in (".py", ".pyi")]


def _document() -> dict[str, Any]:
    """All services' OpenAPI documents as one; diffs of it show what a change does to clients."""
    documents = {name: service.openapi(importlib.import_module(f"lotpro_{name}.app").SERVICE) for name in SERVICES}
    return openapi.join(documents)


def permissions(document: Mapping[str, Any]) -> str:
    """Who may do what, as people read it: the table of roles and permissions, and which requests ask for each."""
    asked: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "x-permission" in operation:
                asked.setdefault(operation["x-permission"], []).append(f"`{method.upper()} {path}`")
    table = lotpro_policy.access()
    roles = {**table.roles, **table.platform_roles}
    lines = [
        "# Who may do what",
        "",
        "Made from `policy/src/lotpro_policy/access.yaml` and the services' doors by `make proto`; do not edit.",
        "`tests/e2e/test_least_privilege.py` asks every operation with every role.",
        "",
        *(f"- **{role}**: {about}" for role, about in roles.items()),
        "",
        "| Permission | What it allows | Reach | " + " | ".join(roles) + " | Requests |",
        "| --- | --- | --- | " + "--- | " * (len(roles) + 1),
    ]
    for name, row in table.permissions.items():
        held = " | ".join("yes" if role in row.roles else "" for role in roles)
        lines.append(f"| `{name}` | {row.about} | {row.scope} | {held} | {', '.join(asked.get(name, []))} |")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def refusals() -> str:
    """Every stable code that a request can be refused with, as clients see it."""
    found: dict[str, type[errors.Error]] = {}
    waiting = [errors.Error]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        # A refusal that says no more than its kind has its code, too.
        found.setdefault(kind.code, kind)
    lines = [
        "# What a request can be refused with",
        "",
        "Made from the services' refusals by `make proto`; do not edit. Every answer is `application/problem+json`",
        "(RFC 9457). Program against `code`, which never changes its meaning; `detail` is for people. Wrong fields",
        "stand in `errors`, each with the JSON pointer of where it is.",
        "",
        "| Code | Status | What it says |",
        "| --- | --- | --- |",
        *(f"| `{code}` | {api.status_of(kind)[0]} | {kind.message} |" for code, kind in sorted(found.items())),
    ]
    return "\n".join(lines) + "\n"


def events() -> str:
    """What happens in each service that others can hear of, and who listens."""
    lines = [
        "# Events",
        "",
        "Made from proto/ and infra/servicebus.json by `make proto`; do not edit. An event leaves by the outbox of the",
        "transaction that made it true, comes at least once, and names people and things by id alone.",
    ]
    found: dict[str, list[Descriptor]] = {}
    for file in [file for name in (*SERVICES, "security") for file in _descriptors(name)]:
        if file.name.endswith("/events.proto"):
            for event in file.message_types_by_name.values():
                found.setdefault(outbox.topic_of(GetMessageClass(event)()), []).append(event)
    listeners = _listeners()
    for topic, of_topic in found.items():
        lines += ["", f"## {topic}", "", f"Heard by {', '.join(listeners[topic]) or 'nobody yet'}.", ""]
        lines += ["| Event | What it names |", "| --- | --- |"]
        for event in of_topic:
            lines.append(f"| `{event.full_name}` | {', '.join(f'`{field.name}`' for field in event.fields)} |")
    return "\n".join(lines) + "\n"


def _listeners() -> dict[str, list[str]]:
    """Who has a subscription to which topic."""
    [namespace] = json.loads((ROOT / "infra" / "servicebus.json").read_text())["UserConfig"]["Namespaces"]
    return {topic["Name"]: sorted(one["Name"] for one in topic["Subscriptions"]) for topic in namespace["Topics"]}


def service_map() -> str:
    """Who may call whom, from the contracts' `callers` options."""
    lines = ["# Which service may call which method of another. Made from proto/ by `make proto`; do not edit.", ""]
    for name in sorted((*SERVICES, "revocation")):
        for file in _descriptors(name):
            for contract in file.services_by_name.values():
                for method in contract.methods:
                    callers = sorted(method.GetOptions().Extensions[options_pb2.callers])
                    lines.append(f"{contract.full_name}.{method.name}  <-  {', '.join(callers) or 'nobody'}")
    return "\n".join(lines) + "\n"


def _descriptors(name: str) -> list[FileDescriptor]:
    folder = ROOT / "proto" / "lotpro" / name / "v1"
    modules = [importlib.import_module(f"lotpro.{name}.v1.{file.stem}_pb2") for file in sorted(folder.glob("*.proto"))]
    return [module.DESCRIPTOR for module in modules]


def main(*, write: bool) -> int:
    """Compare what is generated with what is there, or write it; 1 when something differs."""
    wanted = files()
    present = {str(file.relative_to(ROOT)) for file in _python_files(ROOT / "proto" / "gen")}
    different = [path for path, text in wanted.items() if _read(path) != text] + sorted(present - wanted.keys())
    if write:
        for path in different:
            if path in wanted:
                (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
                (ROOT / path).write_text(wanted[path], encoding="utf-8")
            else:
                (ROOT / path).unlink()
        print(f"{len(different)} of {len(wanted)} generated files renewed")
        return 0
    for path in different:
        print(f"{path} is not what its source says: run `make proto`")
    return 1 if different else 0


def _read(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main(write=False))
