"""The API page: the services' documents joined, and a page that needs nobody else's server."""

import json
import re
from copy import deepcopy
from pathlib import Path

import httpx
import pytest

from gateway import docs, openapi
from gateway.render import SERVICES
from gateway.tests.conftest import document


def references(node: object) -> list[str]:
    return re.findall(r'"\$ref": "([^"]+)"', json.dumps(node))


def test_all_operations_are_there_under_their_service() -> None:
    joined = openapi.join({service: document(service) for service in SERVICES})
    assert list(joined["paths"]) == [f"/api/{service}/v1/things" for service in SERVICES]
    assert [tag["name"] for tag in joined["tags"]] == list(SERVICES)
    for service in SERVICES:
        assert joined["paths"][f"/api/{service}/v1/things"]["get"]["tags"] == [service]


def test_schemas_that_differ_are_told_apart_and_equal_ones_are_kept_once() -> None:
    joined = openapi.join({service: document(service) for service in SERVICES})
    assert set(joined["components"]["schemas"]) == {"Problem", *(f"{service}_Thing" for service in SERVICES)}
    operation = joined["paths"]["/api/audit/v1/things"]["get"]
    assert references(operation) == ["#/components/schemas/audit_Thing"]


def test_a_schema_that_reads_the_same_but_refers_to_different_ones_is_told_apart_too() -> None:
    documents = {service: document(service) for service in ("identity", "audit")}
    for one in documents.values():
        one["components"]["schemas"]["Page"] = {"items": {"$ref": "#/components/schemas/Thing"}}
    schemas = openapi.join(documents)["components"]["schemas"]
    assert schemas["audit_Page"] == {"items": {"$ref": "#/components/schemas/audit_Thing"}}
    assert "Page" not in schemas


def test_every_reference_leads_somewhere() -> None:
    joined = openapi.join({service: document(service) for service in SERVICES})
    for reference in references(joined):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in joined["components"][kind]


def test_there_is_one_security_scheme_and_permissions_can_be_read() -> None:
    joined = openapi.join({service: document(service) for service in SERVICES})
    operation = joined["paths"]["/api/audit/v1/things"]["get"]
    assert operation["security"] == [{"bearer": []}]
    assert operation["description"] == "Permission: `audit:thing:list`"
    assert list(joined["components"]["securitySchemes"]) == ["bearer"]


def test_an_operation_without_sign_in_stays_so() -> None:
    own = document("audit")
    own["paths"]["/api/audit/v1/things"]["get"]["security"] = []
    assert openapi.join({"audit": own})["paths"]["/api/audit/v1/things"]["get"]["security"] == []


def test_joining_changes_none_of_the_inputs() -> None:
    documents = {service: document(service) for service in SERVICES}
    before = deepcopy(documents)
    openapi.join(documents)
    assert documents == before


def test_a_path_claimed_twice_is_refused() -> None:
    with pytest.raises(openapi.PathClash, match="/api/audit/v1/things"):
        openapi.join({"audit": document("audit"), "privacy": document("audit")})


def test_another_version_of_openapi_is_refused() -> None:
    with pytest.raises(openapi.NotOpenAPI31, match="audit"):
        openapi.join({"audit": document("audit") | {"openapi": "3.0.3"}})


def test_the_command_line_writes_all_files(tmp_path: Path) -> None:
    assert docs.main(["-o", str(tmp_path / "docs")]) == 0
    written = {path.name for path in (tmp_path / "docs").iterdir()}
    assert written == {*docs.PAGE_FILES, *docs.SWAGGER_FILES, "openapi.json"}


async def test_the_page_loads_only_from_this_gateway(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        if not address.startswith("data:"):
            assert address.startswith("/")
            part = await client.get(address)
            assert part.status_code == 200
            assert len(part.content) > 100


async def test_the_joined_document_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/openapi+json;version=3.1"
    assert len(answer.json()["paths"]) == len(SERVICES)
