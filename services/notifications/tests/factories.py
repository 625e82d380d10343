"""What notifications' tests stand on: the other services and the providers, as far as a message needs them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import httpx

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro_kit import bus, errors, ids
from lotpro_kit.clock import utc_now


class CodeUsed(errors.Conflict):
    """What identity says of a code that can no longer be used."""

    code = "identity.code_used"
    message = "The code was used."


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    """Identity's gRPC with the people, members and codes that a test gives it."""

    def __init__(self) -> None:
        self.people: dict[str, identity_pb2.Contact] = {}
        self.owners: dict[str, list[str]] = {}
        #: Organisation -> role -> people, besides its owners.
        self.others: dict[str, dict[str, list[str]]] = {}
        self.codes: dict[str, identity_pb2.RevealCodeResponse] = {}
        self.away = False

    def add_person(self, *, phone: str = "", name: str = "Jo Owner") -> UUID:
        """A person with an address of their own; answers the user id."""
        user_id = uuid4()
        self.people[str(user_id)] = identity_pb2.Contact(
            user_id=str(user_id), name=name, email=f"{user_id}@example.com", phone=phone, locale="en-US"
        )
        return user_id

    def add_code(self, *, expires_at: datetime, purpose: str = "confirm_email", **facts: str) -> tuple[UUID, str, str]:
        """A code that waits; answers challenge id, code and address."""
        challenge_id = uuid4()
        code = facts.pop("code", f"{challenge_id.int % 1_000_000:06}")
        address = facts.pop("address", f"{challenge_id}@example.com")
        answer = identity_pb2.RevealCodeResponse(
            code=code, purpose=purpose, channel=facts.get("channel", "email"), address=address,
            organisation_name=facts.get("organisation_name", ""), topic=facts.get("topic", ""),
        )
        answer.expire_time.FromDatetime(expires_at)
        self.codes[str(challenge_id)] = answer
        return challenge_id, code, address

    async def GetContacts(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        known = [self.people[user_id] for user_id in request.user_ids if user_id in self.people]
        return identity_pb2.GetContactsResponse(contacts=known)

    async def GetMembers(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        by_role = {"org_owner": self.owners.get(request.org_id, []), **self.others.get(request.org_id, {})}
        chosen = dict.fromkeys(
            user_id for role, people in by_role.items() for user_id in people
            if not request.roles or role in request.roles
        )
        return identity_pb2.GetMembersResponse(members=[identity_pb2.Member(user_id=user_id) for user_id in chosen])

    async def GetOrganisation(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        raise errors.NotFound

    async def RevealCode(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        if self.away:
            raise errors.Unavailable
        if request.challenge_id not in self.codes:
            raise CodeUsed
        return self.codes[request.challenge_id]


class Inventory(inventory_pb2_grpc.InventoryServiceServicer):
    """Inventory's gRPC with the sales that a test gives it."""

    def __init__(self) -> None:
        self.sales: dict[tuple[str, str], inventory_pb2.GetSaleResponse] = {}

    def add_sale(self, org_id: UUID, **facts: Any) -> UUID:
        """A sale; answers its id."""
        sale_id = uuid4()
        answer = inventory_pb2.GetSaleResponse(
            **{
                "sale_id": str(sale_id), "vin": "1HGCV1F34LA000001", "stock_number": "A-17", "year": 2020,
                "make": "Honda", "model": "Accord", "price_amount": 2_599_500, "price_currency": "USD", **facts,
            }
        )
        answer.sold_time.FromDatetime(utc_now())
        self.sales[str(org_id), str(sale_id)] = answer
        return sale_id

    async def GetSale(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        found = self.sales.get((request.org_id, request.sale_id))
        if found is None:
            raise errors.NotFound
        return found


Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Providers:
    """SendGrid and Twilio behind an HTTP transport: they take everything, unless a test has queued other answers."""

    letters: list[dict[str, Any]] = field(default_factory=list)
    texts: list[Mapping[str, str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    #: Words in the requests that `answers` are for and `asked` counts: what other tests left in the queue, which all
    #: tests of a process share, is sent meanwhile too.
    meant_for: str = ""
    asked: int = 0
    #: Words in a request that gets no answer before `voice` is set.
    silent_for: str = ""
    voice: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        meant = self.meant_for.encode() in request.content
        self.asked += meant
        if self.silent_for and self.silent_for.encode() in request.content:
            await self.voice.wait()
        if meant and self.answers:
            return self.answers.pop(0)(request)
        if request.url.path.endswith("/v3/mail/send"):
            self.letters.append(json.loads(request.content))
            return httpx.Response(202, headers={"x-message-id": f"mail-{len(self.letters)}"})
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.texts.append(form)
        return httpx.Response(201, json={"sid": f"SM{len(self.texts)}", "status": "queued", **form})

    def letters_to(self, address: str) -> list[dict[str, Any]]:
        """The e-mails that an address got, as SendGrid was given them."""
        return [letter for letter in self.letters if letter["personalizations"][0]["to"][0]["email"] == address]

    def texts_to(self, number: str) -> list[str]:
        """The SMS that a number got."""
        return [text["Body"] for text in self.texts if text["To"] == number]


def delivery(occurred_at: datetime | None = None) -> bus.Delivery:
    """An event as it comes from the bus."""
    return bus.Delivery(id=ids.new(), type="", source="", time=occurred_at or utc_now(), attempt=1)


def timed_out(request: httpx.Request) -> httpx.Response:
    """A provider that took the request and did not answer in time."""
    raise httpx.ReadTimeout("no answer", request=request)


def unreachable(request: httpx.Request) -> httpx.Response:
    """A provider that nobody reaches."""
    raise httpx.ConnectError("refused", request=request)
