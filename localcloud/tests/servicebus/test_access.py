"""Whom the broker lets in: SAS keys in full, managed identities to what is theirs, nobody else."""

import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue, TransportType
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import (
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusError,
)
from joserfc import jwt
from joserfc.jwk import RSAKey

from localcloud.tests.servicebus.conftest import Bus
from lotpro_kit.testing import ENTRA_ISSUER, Broker, Signer
from lotpro_localcloud.servicebus.access import Denied, Gatekeeper

#: The SDK reports a refused token as a failed connection when it has no retries left.
REFUSED = (ServiceBusAuthenticationError, ServiceBusAuthorizationError, ServiceBusConnectionError)
AUDIENCE = "https://servicebus.azure.net"


class Credential:
    """A token, whatever is asked for."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


def connect(broker: Broker, token: str) -> ServiceBusClient:
    """A client as the services have it: over TLS, with a managed identity's token."""
    return ServiceBusClient(
        fully_qualified_namespace="localhost", credential=Credential(token), custom_endpoint_address=broker.endpoint,
        transport_type=TransportType.Amqp, connection_verify=broker.ca_bundle, retry_total=0,
    )


async def send(client: ServiceBusClient, topic: str) -> None:
    async with client, client.get_topic_sender(topic) as sender:
        await sender.send_messages(ServiceBusMessage("hello", message_id=str(uuid4())))


async def test_a_wrong_sas_key_opens_nothing(bus: Bus) -> None:
    with pytest.raises(REFUSED):
        await send(bus.client("another-key"), "refused")


async def test_without_a_key_an_empty_one_opens_nothing(tmp_path: Path) -> None:
    gatekeeper = Gatekeeper(sas_key="", issuer=ENTRA_ISSUER, jwks=tmp_path / "none", services={})
    ends = int(time.time()) + 60
    signature = base64.b64encode(hmac.digest(b"", f"sb\n{ends}".encode(), "sha256")).decode()
    token = f"SharedAccessSignature {urlencode({'sr': 'sb', 'sig': signature, 'se': ends, 'skn': 'root'})}"
    with pytest.raises(Denied):
        gatekeeper.principal(token)


async def test_an_entity_that_does_not_exist_is_not_made(bus: Bus, client: ServiceBusClient) -> None:
    with pytest.raises(ServiceBusError):
        await send(bus.client(), "no-such-topic")
    with pytest.raises(ServiceBusError):
        async with client.get_subscription_receiver("refused", "no-such-reader") as receiver:
            await receiver.receive_messages(max_wait_time=1)


async def test_a_subscription_takes_no_messages(bus: Bus) -> None:
    with pytest.raises(ServiceBusError):
        await send(bus.client(), "refused/Subscriptions/reader")


async def test_a_service_sends_to_its_topic_and_reads_its_subscription(broker: Broker, signer: Signer) -> None:
    await send(connect(broker, signer.service_token("identity", audience=AUDIENCE)), "identity")
    async with (
        connect(broker, signer.service_token("billing", audience=AUDIENCE)) as client,
        client.get_subscription_receiver("identity", "billing") as receiver,
    ):
        (found,) = await receiver.receive_messages(max_wait_time=10)
        await receiver.complete_message(found)


async def test_a_service_may_not_send_to_the_topic_of_another(broker: Broker, signer: Signer) -> None:
    with pytest.raises(REFUSED):
        await send(connect(broker, signer.service_token("billing", audience=AUDIENCE)), "identity")


@pytest.mark.parametrize("sub_queue", [None, ServiceBusSubQueue.DEAD_LETTER])
async def test_a_service_may_not_read_the_subscription_of_another(
    broker: Broker, signer: Signer, sub_queue: ServiceBusSubQueue | None
) -> None:
    async with connect(broker, signer.service_token("inventory", audience=AUDIENCE)) as client:
        with pytest.raises(REFUSED):
            async with client.get_subscription_receiver("identity", "billing", sub_queue=sub_queue) as receiver:
                await receiver.receive_messages(max_wait_time=1)


def forged(signer: Signer, **claims: Any) -> str:
    """A token as the issuer writes them, signed with a key that is not the issuer's."""
    client_id = next(one for one, name in signer.principals.items() if name == "identity")
    body = {"iss": ENTRA_ISSUER, "aud": AUDIENCE, "azp": client_id, "exp": int(time.time()) + 3600}
    key = RSAKey.generate_key(2048, {"kid": "test-entra"})
    return jwt.encode({"alg": "RS256", "kid": "test-entra"}, body | claims, key, algorithms=["RS256"])


async def test_a_token_of_a_foreign_key_opens_nothing(broker: Broker, signer: Signer) -> None:
    with pytest.raises(REFUSED):
        await send(connect(broker, forged(signer)), "identity")


async def test_a_token_for_another_audience_opens_nothing(broker: Broker, signer: Signer) -> None:
    with pytest.raises(REFUSED):
        await send(connect(broker, signer.service_token("identity", audience="api://lotpro")), "identity")


async def test_a_token_without_signature_opens_nothing(broker: Broker, signer: Signer) -> None:
    client_id = next(one for one, name in signer.principals.items() if name == "identity")
    body = {"iss": ENTRA_ISSUER, "aud": AUDIENCE, "azp": client_id, "exp": int(time.time()) + 3600}

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    with pytest.raises(REFUSED):
        await send(connect(broker, f"{part({'alg': 'none'})}.{part(body)}."), "identity")
