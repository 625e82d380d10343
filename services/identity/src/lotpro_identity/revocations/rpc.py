"""The gRPC door that every service follows."""

from collections.abc import AsyncIterator
from typing import Any

from lotpro.revocation.v1 import revocation_pb2, revocation_pb2_grpc
from lotpro_identity.revocations.service import Feed
from lotpro_kit import revocations


class RevocationRpc(revocation_pb2_grpc.RevocationServiceServicer):
    """RevocationService of the contract."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def ListRevocations(  # noqa: N802 - gRPC's name
        self, request: revocation_pb2.ListRevocationsRequest, context: Any
    ) -> AsyncIterator[revocation_pb2.ListRevocationsResponse]:
        """Those in force, then each new one."""
        async for known in self._feed.watch(follow=request.follow):
            yield revocation_pb2.ListRevocationsResponse(revocations=map(revocations.write, known))
