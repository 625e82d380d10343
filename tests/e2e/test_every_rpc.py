"""Every method of every contract refuses who has no token, and every service that its callers do not name."""

import importlib
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.render import SERVICES
from lotpro.inventory.v1 import inventory_pb2
from lotpro.options.v1 import options_pb2
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_localcloud.keys import client_id
from tests.e2e import flow
from tests.e2e.operations import NOBODYS
from tests.e2e.stack import Stack

#: Who answers the questions that several services are asked.
PARTICIPANTS = ("identity", "inventory", "billing", "notifications", "audit")
SERVERS = {"participant": PARTICIPANTS, "revocation": ("identity",)}


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """(service that serves it, method) of every contract."""
    shared = [("privacy", "participant"), ("revocation", "revocation")]
    for package, file in [*((name, name) for name in SERVICES), *shared]:
        module = importlib.import_module(f"lotpro.{package}.v1.{file}_pb2")
        for contract in module.DESCRIPTOR.services_by_name.values():
            for server in SERVERS.get(file, (package,)):
                for method in contract.methods:
                    yield server, method


ALL = [pytest.param(server, method, id=f"{server}-{method.full_name}") for server, method in methods()]


def service_token(stack: Stack, service: str) -> str:
    """A managed identity's token, got as that service gets it."""
    answer = httpx.get(
        f"http://127.0.0.1:{stack.ports['providers']}/msi/token",
        params={"resource": "api://lotpro", "api-version": "2019-08-01", "client_id": client_id(service)},
        headers={"X-IDENTITY-HEADER": stack.keys[f"{service}-identity-header"]},
        trust_env=False,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def code_of(stack: Stack, server: str, method: MethodDescriptor, request: Message, token: str) -> grpc.StatusCode:
    """The status a call ends with."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(f"127.0.0.1:{stack.ports[f'{server}_grpc']}") as channel:
        kind = channel.unary_stream if method.server_streaming else channel.unary_unary
        call = kind(path, request_serializer=type(request).SerializeToString, response_deserializer=bytes)
        try:
            answer = call(request, metadata=metadata, timeout=10)
            if method.server_streaming:
                list(answer)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK


@pytest.fixture(scope="session")
def service_tokens(stack: Stack) -> dict[str, str]:
    """A token of each service."""
    return {service: service_token(stack, service) for service in SERVICES}


@pytest.mark.parametrize(("server", "method"), ALL)
def test_without_a_token_there_is_no_answer(stack: Stack, server: str, method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    assert code_of(stack, server, method, request, "") is grpc.StatusCode.UNAUTHENTICATED
    assert code_of(stack, server, method, request, "not.a.token") is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(("server", "method"), ALL)
def test_a_service_that_is_not_named_as_caller_is_refused(
    stack: Stack, service_tokens: dict[str, str], server: str, method: MethodDescriptor
) -> None:
    named = set(method.GetOptions().Extensions[options_pb2.callers])
    request = GetMessageClass(method.input_type)()
    for service in SERVICES:
        code = code_of(stack, server, method, request, service_tokens[service])
        refused = code is grpc.StatusCode.PERMISSION_DENIED
        assert refused == (service not in named), f"{service} calling {method.full_name} got {code.name}"


def test_a_sale_is_found_in_its_own_organisation_only(
    stack: Stack, service_tokens: dict[str, str], story: flow.Story
) -> None:
    def found(org_id: str) -> grpc.StatusCode:
        request = inventory_pb2.GetSaleRequest(org_id=org_id, sale_id=story.ids["sale_id"])
        method = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].methods_by_name["GetSale"]
        return code_of(stack, "inventory", method, request, service_tokens["notifications"])

    assert found(story.ids["organisation_id"]) is grpc.StatusCode.OK
    assert found(NOBODYS) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("server", PARTICIPANTS)
def test_a_customer_is_found_in_the_own_dealers_data_only(
    stack: Stack, service_tokens: dict[str, str], story: flow.Story, server: str
) -> None:
    """Another dealer's customer with the same e-mail address is another person."""
    metadata = (("authorization", f"Bearer {service_tokens['privacy']}"),)
    with grpc.insecure_channel(f"127.0.0.1:{stack.ports[f'{server}_grpc']}") as channel:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel)

        def count(org_id: str) -> int:
            subject = participant_pb2.Subject(
                kind=participant_pb2.SUBJECT_KIND_CUSTOMER, org_id=org_id, id=story.ids["customer_id"],
                email=story.customer.email,
            )
            answer = stub.Discover(participant_pb2.DiscoverRequest(subject=subject), metadata=metadata, timeout=10)
            exported = list(
                stub.Export(participant_pb2.ExportRequest(subject=subject), metadata=metadata, timeout=10)
            )
            assert sum(counted.count for counted in answer.counts) == len(exported)
            return len(exported)

        if server in ("inventory", "audit", "notifications"):
            assert count(story.ids["organisation_id"]) > 0
        assert count(NOBODYS) == 0
