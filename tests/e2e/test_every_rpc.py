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
from lotpro.options.v1 import options_pb2
from lotpro_localcloud.keys import client_id
from tests.e2e.stack import Stack

#: Who answers the questions that several services are asked.
PARTICIPANTS = ("identity", "inventory", "billing", "notifications", "audit")


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """(service that serves it, method) of every contract."""
    for package, file in [*((name, name) for name in SERVICES), ("privacy", "participant")]:
        module = importlib.import_module(f"lotpro.{package}.v1.{file}_pb2")
        for contract in module.DESCRIPTOR.services_by_name.values():
            for server in PARTICIPANTS if file == "participant" else (package,):
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
