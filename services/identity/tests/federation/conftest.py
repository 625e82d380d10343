"""An organisation whose people sign in with its own provider, over real HTTP."""

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro_identity import app
from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.identity.tests.conftest import PREFIX, Identity, Person, claims_of, org_of
from services.identity.tests.federation.provider import CLIENT_ID, CLIENT_SECRET, Provider, serve


@dataclass
class Sso:
    """An organisation with its provider and a proven domain."""

    identity: Identity
    provider: Provider
    owner: Person
    domain: str
    store_id: str

    @property
    def org_id(self) -> UUID:
        return org_of(self.owner.access_token)

    def address(self) -> str:
        return f"{uuid4().hex[:12]}@{self.domain}"

    def restart(self) -> None:
        """The service forgets what it keeps in memory."""
        self.identity.parts = app.wire(self.identity.runtime)

    async def configure(self, owner: Person | None = None, **fields: Any) -> httpx.Response:
        owner = owner or self.owner
        known = await self.identity.get("/federation", token=owner.access_token)
        headers = {"if-match": known.headers["etag"]} if "etag" in known.headers else {}
        body = {
            "issuer": self.provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "jit_role": "sales", "store_id": self.store_id, "honour_mfa": True,
        } | fields
        async with self.identity.client(owner.access_token) as client:
            return await client.put(PREFIX + "/federation", json=body, headers=headers)

    async def start(self, **body: Any) -> tuple[str, str]:
        """Where the browser is sent, and the cookie it got."""
        answer = await self.identity.post("/sso:start", body or {"organisation_id": str(self.org_id)})
        assert answer.status_code == 200, answer.text
        return answer.json()["authorization_url"], answer.cookies["__Host-lotpro-sso"]

    async def authorize(self, url: str) -> dict[str, str]:
        """What the provider sends the browser back with."""
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(url)
        assert answer.status_code == 303, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    async def callback(self, query: dict[str, str], cookie: str) -> httpx.Response:
        async with self.identity.client() as client:
            headers = {"cookie": f"__Host-lotpro-sso={cookie}"} if cookie else {}
            return await client.get(PREFIX + "/sso:callback", params=query, headers=headers)

    async def sign_in(self, **body: Any) -> httpx.Response:
        url, cookie = await self.start(**body)
        return await self.callback(await self.authorize(url), cookie)

    async def sql(self, statement: str, **values: object) -> list[Any]:
        async with self.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    async def prove(self, domain: str, org_id: UUID) -> None:
        await self.sql(
            "INSERT INTO federation_domains (org_id, domain, token, created_at, verified_at)"
            " VALUES (:org, :domain, 'x', now(), now())", org=org_id, domain=domain,
        )

    async def roles(self, email: str) -> list[str]:
        rows = await self.sql(
            "SELECT m.role FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email = :email",
            email=email,
        )
        return [row.role for row in rows]

    async def member(self, email: str, role: str = "sales") -> Person:
        """Somebody who was invited by the owner, and has a second factor of their own."""
        invite = {"email": email, "role": role, "store_id": self.store_id}
        answer = await self.identity.post("/invitations", invite, token=self.owner.access_token)
        assert answer.status_code == 201, answer.text
        accept = {
            "token": (await self.identity.mailed(email)).code, "name": "Sam Ortega",
            "password": "another-quiet-lot-42",
        }
        joined = await self.identity.post("/invitations:accept", accept)
        assert joined.status_code == 200, joined.text
        return await self.identity.enrolled(Person(email, accept["password"]), joined.json()["access_token"])

    async def events(self, *, containing: str) -> list[dict[str, Any]]:
        """The security events about something, oldest first."""
        found = await testing.events(self.identity.runtime.database, containing=containing)
        return [body for _, body in found if "action" in body]


@pytest.fixture
async def sso(identity: Identity) -> AsyncIterator[Sso]:
    async with serve(Provider(identity.clock)) as provider:
        provider.be("subject-1", "sam@elsewhere.com")
        settings = identity.runtime.settings.model_copy(
            update={
                "sandbox_issuers": (provider.issuer,),
                "sandbox_domains": (f"proven.prairie-motors.com={provider.issuer}",),
            }
        )
        here = dataclasses.replace(identity.runtime, settings=settings)
        identity = dataclasses.replace(identity, runtime=here, parts=app.wire(here))
        owner = await identity.owner()
        store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
        made = Sso(identity, provider, owner, f"{uuid4().hex[:12]}.com", store)
        answer = await made.configure()
        assert answer.status_code == 200, answer.text
        await made.prove(made.domain, made.org_id)
        yield made


def id_of(person: Person) -> UUID:
    """A signed-in person's account."""
    return UUID(claims_of(person.access_token)["sub"])
