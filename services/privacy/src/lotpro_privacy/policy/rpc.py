"""The gRPC door: which policy is in force."""

from typing import Any

import lotpro_policy
from lotpro.privacy.v1 import privacy_pb2, privacy_pb2_grpc


class PrivacyRpc(privacy_pb2_grpc.PrivacyServiceServicer):
    """PrivacyService of the contract."""

    async def GetPolicyVersion(  # noqa: N802 - gRPC's name
        self, request: privacy_pb2.GetPolicyVersionRequest, context: Any
    ) -> privacy_pb2.GetPolicyVersionResponse:
        """The version and hash of the policy in force."""
        policy = lotpro_policy.policy()
        return privacy_pb2.GetPolicyVersionResponse(version=str(policy.version), sha256=policy.sha256)
