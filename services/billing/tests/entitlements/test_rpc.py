"""Entitlements for the other services."""

from uuid import uuid4

import grpc
import pytest

from lotpro.billing.v1 import billing_pb2, billing_pb2_grpc
from lotpro_kit import rpc, testing
from services.billing.tests.conftest import Billing


async def test_other_services_ask_what_an_organisation_may_use(billing: Billing) -> None:
    request = billing_pb2.GetEntitlementRequest(org_id=str(billing.org_id))
    async with testing.serve_rpc(billing.parts, billing.runtime, billing.signer) as channel_as:
        stub = billing_pb2_grpc.BillingServiceStub(channel_as("inventory"))
        assert (await stub.GetEntitlement(request)).status == "none"
        await billing.create_organisation()
        assert (await stub.GetEntitlement(request)).status == "trialing"
        subscription = await billing.started()
        found = await stub.GetEntitlement(request)
        assert (found.plan, found.status, found.stores_limit) == ("lotpro_standard", "trialing", 1)
        assert "sales" in found.features
        assert found.valid_until_time.seconds == subscription["trial_end"]
        stranger = billing_pb2.GetEntitlementRequest(org_id=str(uuid4()))
        assert (await stub.GetEntitlement(stranger)).status == "none"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await billing_pb2_grpc.BillingServiceStub(channel_as("audit")).GetEntitlement(request)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_call_without_a_token_is_refused(billing: Billing) -> None:
    server = rpc.create_server(billing.parts.servicers, billing.runtime.service_tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await billing_pb2_grpc.BillingServiceStub(channel).GetEntitlement(
                billing_pb2.GetEntitlementRequest(org_id=str(billing.org_id))
            )
    await server.stop(None)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
