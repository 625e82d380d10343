"""An organisation with a verified domain and a directory that provisions it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from services.identity.tests.conftest import Identity, Person, claims_of, org_of

SCIM = "/api/identity/v1/scim/v2"


@dataclass
class Directory:
    """An organisation's directory with its token."""

    identity: Identity
    owner: Person
    domain: str
    token: str
    store_id: str

    @property
    def org_id(self) -> UUID:
        return org_of(self.owner.access_token)

    def address(self) -> str:
        return f"{uuid4().hex[:12]}@{self.domain}"

    async def send(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: Any
    ) -> httpx.Response:
        async with self.identity.client(self.token if token is None else token) as client:
            headers = {"content-type": "application/scim+json"} if body is not None else {}
            content = {"json": body} if body is not None else {}
            return await client.request(method, SCIM + path, headers=headers, params=query or None, **content)

    async def created(self, **fields: Any) -> dict[str, Any]:
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": self.address()} | fields
        answer = await self.send("POST", "/Users", body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def patch(self, user: dict[str, Any], *operations: dict[str, Any]) -> httpx.Response:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
        return await self.send("PATCH", f"/Users/{user['id']}", body)

    async def roles(self, email: str) -> list[str]:
        """An account's roles in this organisation."""
        rows = await self.sql(
            "SELECT m.role FROM memberships m JOIN accounts a ON a.id = m.account_id"
            " WHERE a.email = :email AND m.org_id = :org", email=email, org=self.org_id,
        )
        return [row.role for row in rows]

    async def sql(self, statement: str, **values: object) -> list[Any]:
        async with self.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []


async def open_directory(identity: Identity, *, domain: str | None = None) -> Directory:
    """Another organisation with its directory."""
    owner = await identity.owner()
    here = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    answer = await identity.post(
        "/provisioning/tokens", {"name": "Entra ID", "role": "sales", "store_id": here}, token=owner.access_token
    )
    assert answer.status_code == 201, answer.text
    directory = Directory(identity, owner, domain or f"{uuid4().hex[:12]}.com", answer.json()["token"], here)
    await directory.sql(
        "INSERT INTO federation_domains (org_id, domain, token, created_at, verified_at)"
        " VALUES (:org, :domain, 'x', now(), now())", org=directory.org_id, domain=directory.domain,
    )
    return directory


@pytest.fixture
async def directory(identity: Identity) -> Directory:
    return await open_directory(identity)


def id_of(person: Person) -> UUID:
    """A signed-in person's account."""
    return UUID(claims_of(person.access_token)["sub"])
