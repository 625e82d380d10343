"""The gRPC door: only declared callers, stable codes, reflection behind a token."""

import grpc
import pytest

from kit.tests.conftest import Sample
from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import errors, rpc, testing


async def test_a_declared_caller_is_answered_and_others_are_refused(sample: Sample) -> None:
    async with testing.serve_rpc(sample.parts, sample.runtime, sample.signer) as channel_as:
        request = identity_pb2.GetOrganisationRequest(org_id="x")
        answer = await identity_pb2_grpc.IdentityServiceStub(channel_as("billing")).GetOrganisation(request)
        assert answer.name == "billing"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await identity_pb2_grpc.IdentityServiceStub(channel_as("audit")).GetOrganisation(request)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_refusals_cross_as_kinds_of_error(sample: Sample) -> None:
    async with testing.serve_rpc(sample.parts, sample.runtime, sample.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("billing"))
        with pytest.raises(errors.NotFound), rpc.calling("identity"):
            await stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id="missing"))


async def test_a_call_without_a_token_is_refused(sample: Sample) -> None:
    server = rpc.create_server(sample.parts.servicers, sample.runtime.service_tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id="x"))
    await server.stop(None)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
