"""Identity on this test process's database, and people who sign up as they would."""

import asyncio
import base64
import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
import pyotp
import pytest
from joserfc.jwk import ECKey, KeySet

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_identity import app
from lotpro_identity.settings import Settings
from lotpro_kit import auth, service, testing

PREFIX = "/api/identity/v1"
#: How many of the last challenges a test looks through for the one that it caused.
RECENT = 60
#: No test takes a year.
NEVER = 3e7
PASSWORD = "seven-quiet-lots-at-dawn"
#: Thousands of Nebraska's numbers; another one each time, because texts to a number and to its neighbours are counted.
_THOUSANDS = count(6120)


#: Addresses of the private range; what was tried from one is remembered, so each test is somewhere else.
_ADDRESSES = count(1)


def new_address() -> str:
    """An address that no other test of this process came from."""
    return str(IPv4Address("10.0.0.0") + next(_ADDRESSES) * 256)


def new_phone() -> str:
    """A number that no other test of this process has texts sent to."""
    return f"+1402{next(_THOUSANDS)}142"


@dataclass
class Person:
    """Somebody with an account, and what their authenticator app knows."""

    email: str
    password: str = PASSWORD
    secret: str = ""
    access_token: str = ""
    refresh_token: str = ""
    recovery_codes: tuple[str, ...] = ()


@dataclass
class Identity:
    """The service and a clock that stands still."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    signer: testing.Signer
    clock: testing.Clock
    #: What everybody who signs up in this test gives as their number.
    phone: str = field(default_factory=new_phone)
    #: Where they are, unless they say otherwise.
    ip: str = field(default_factory=new_address)

    def client(self, token: str = "") -> httpx.AsyncClient:
        client = testing.client(app.SERVICE, self.runtime, self.parts, token)
        client.headers["x-forwarded-for"] = self.ip
        return client

    async def post(self, path: str, body: dict[str, Any], *, token: str = "") -> httpx.Response:
        async with self.client(token) as client:
            return await client.post(PREFIX + path, json=body)

    async def get(self, path: str, *, token: str = "") -> httpx.Response:
        async with self.client(token) as client:
            return await client.get(PREFIX + path)

    def code(self, person: Person) -> str:
        return pyotp.TOTP(person.secret).at(self.clock())

    def sign_up_body(self, email: str) -> dict[str, Any]:
        return {
            "name": "Dana Whitfield", "email": email, "password": PASSWORD, "phone": self.phone,
            "organisation": {"name": "Prairie Motor Group"},
            "store": {"name": "Lincoln", "time_zone": "America/Chicago"},
        }

    async def mailed(self, address: str) -> identity_pb2.RevealCodeResponse:
        """What notifications would send to an address last, alerts apart."""
        async for revealed in self._revealed(address):
            if revealed.purpose != "alert":
                return revealed
        raise AssertionError("nothing was mailed")

    async def alerts(self, address: str) -> list[identity_pb2.RevealCodeResponse]:
        """The alerts that notifications would send to an address, newest first."""
        return [revealed async for revealed in self._revealed(address) if revealed.purpose == "alert"]

    async def _revealed(self, address: str) -> AsyncIterator[identity_pb2.RevealCodeResponse]:
        events = await testing.events(self.runtime.database, containing="challenge_id", last=RECENT)
        challenges = [body["challenge_id"] for name, body in events if name.endswith("CodeRequested")]
        async with testing.serve_rpc(self.parts, self.runtime, self.signer) as channel_as:
            stub = identity_pb2_grpc.IdentityServiceStub(channel_as("notifications"))
            for challenge_id in reversed(challenges):
                try:
                    revealed = await stub.RevealCode(identity_pb2.RevealCodeRequest(challenge_id=challenge_id))
                except grpc.aio.AioRpcError:
                    continue
                if revealed.address == address:
                    yield revealed

    async def confirmed(self, email: str | None = None) -> tuple[Person, str]:
        """A person who signed up and confirmed the address, and the enrolment token."""
        person = Person(email or f"{uuid4().hex[:12]}@prairie-motors.com")
        answer = await self.post("/accounts", self.sign_up_body(person.email))
        assert answer.status_code == 202, answer.text
        code = (await self.mailed(person.email)).code
        assert re.fullmatch(r"\d{6}", code)
        answer = await self.confirm(person.email, code)
        assert answer.status_code == 200, answer.text
        return person, answer.json()["access_token"]

    async def confirm(self, email: str, code: str, password: str = PASSWORD) -> httpx.Response:
        """What somebody is answered who confirms an address."""
        return await self.post("/accounts:confirm-email", {"email": email, "code": code, "password": password})

    async def owner(self, email: str | None = None) -> Person:
        """A person who is signed in as an organisation's owner."""
        person, token = await self.confirmed(email)
        return await self.enrolled(person, token)

    async def enrolled(self, person: Person, token: str) -> Person:
        person.secret = (await self.post("/factors/totp", {}, token=token)).json()["secret"]
        answer = await self.post("/factors/totp:confirm", {"code": self.code(person)}, token=token)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        person.access_token, person.refresh_token = body["access_token"], body["refresh_token"]
        person.recovery_codes = tuple(body["recovery_codes"])
        return person

    async def member(self, owner: Person, role: str, *, store: bool = True) -> Person:
        """Somebody who was invited by the owner and has signed in."""
        person, token = await self.invited(owner, role, store=store)
        return await self.enrolled(person, token)

    async def invited(self, owner: Person, role: str, *, store: bool = True) -> tuple[Person, str]:
        """Somebody who accepted the owner's invitation, and the enrolment token."""
        email = f"{uuid4().hex[:12]}@prairie-motors.com"
        here = (await self.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
        invite = {"email": email, "role": role} | ({"store_id": here} if store else {})
        answer = await self.post("/invitations", invite, token=owner.access_token)
        assert answer.status_code == 201, answer.text
        accept = {
            "token": (await self.mailed(email)).code, "name": "Sam Ortega", "password": "another-quiet-lot-42"
        }
        joined = await self.post("/invitations:accept", accept)
        assert joined.status_code == 200, joined.text
        return Person(email, accept["password"]), joined.json()["access_token"]

    async def ask(
        self, method: str, path: str, person: Person, body: Any = None, *, version: int | None = None
    ) -> httpx.Response:
        """What somebody is answered; with a version, as the one they expect."""
        headers = {} if version is None else {"If-Match": f'"v{version}"'}
        async with self.client(person.access_token) as client:
            return await client.request(method, PREFIX + path, json=body, headers=headers)

    async def sign_in(self, person: Person) -> httpx.Response:
        """What somebody is answered who signs in with password and the code of this moment."""
        body = {"email": person.email, "password": person.password, "totp": self.code(person)}
        answer = await self.post("/sessions", body)
        if answer.status_code == 200:
            person.access_token = answer.json().get("access_token") or ""
        return answer


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Deployed:
    """The service as all tests of this process share it; to make it takes longer than most tests."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    clock: testing.Clock


@pytest.fixture(scope="session")
async def deployed(
    postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> AsyncIterator[Deployed]:
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"})
    key.ensure_kid()
    clock = testing.Clock()
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, code_key=_key(), pepper=_key(),
        signing_key=key.as_pem(private=True).decode(), signing_key_reload_seconds=NEVER, level_seconds=0,
        blob_url=storage.url, ca_bundle=storage.ca_bundle,
    )
    runtime.user_tokens = auth.UserTokens(
        auth.FixedKeys(KeySet([key])), issuer=testing.ISSUER, audience=testing.AUDIENCE,
        now=lambda: clock().timestamp(),
    )
    parts = app.wire(runtime)
    assert parts.follow is not None
    following = asyncio.create_task(parts.follow())
    yield Deployed(runtime, parts, clock)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await runtime.close()


@pytest.fixture
def identity(deployed: Deployed, signer: testing.Signer) -> Identity:
    """Identity at this moment; a test that deploys it with other settings does so for itself only."""
    deployed.clock.now = testing.Clock().now
    runtime = replace(deployed.runtime)
    return Identity(runtime, deployed.parts, signer, deployed.clock)


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def org_of(token: str) -> UUID:
    """The organisation in an access token."""
    return UUID(claims_of(token)["org"])


def id_of(person: Person) -> UUID:
    """A signed-in person's account."""
    return UUID(claims_of(person.access_token)["sub"])
