"""The gRPC door of entitlements."""

from typing import Any

from lotpro.billing.v1 import billing_pb2, billing_pb2_grpc
from lotpro_billing.entitlements import service
from lotpro_billing.entitlements.domain import Status, features_of
from lotpro_kit import rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class BillingRpc(billing_pb2_grpc.BillingServiceServicer):
    """BillingService of the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetEntitlement(  # noqa: N802 - gRPC's name
        self, request: billing_pb2.GetEntitlementRequest, context: Any
    ) -> billing_pb2.GetEntitlementResponse:
        """What an organisation may use now; `none` for one that billing has not heard of."""
        org_id = rpc.request_id(request.org_id)
        async with self._database.begin(system(org_id)) as session:
            found = await service.entitlement_of(session=session, org_id=org_id)
        if found is None:
            return billing_pb2.GetEntitlementResponse(org_id=str(org_id), status=Status.NONE)
        answer = billing_pb2.GetEntitlementResponse(
            org_id=str(org_id),
            plan=found.plan,
            # The contract knows no `pending`: an organisation whose trial is being set up is on trial.
            status=Status.TRIALING if found.status is Status.PENDING else found.status,
            features=features_of(found.status),
            stores_limit=found.stores_limit,
        )
        if found.valid_until is not None:
            answer.valid_until_time.FromDatetime(found.valid_until)
        return answer
