"""What identity tells the other services about members."""

from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import testing
from services.identity.tests.conftest import Identity, Person, id_of, org_of


@pytest.fixture
async def directory(identity: Identity) -> AsyncIterator[identity_pb2_grpc.IdentityServiceStub]:
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        yield identity_pb2_grpc.IdentityServiceStub(channel_as("audit"))


async def store_of(identity: Identity, owner: Person) -> str:
    found: str = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"][0]["id"]
    return found


async def test_a_permission_is_held_in_the_stores_where_the_role_is(
    identity: Identity, directory: identity_pb2_grpc.IdentityServiceStub
) -> None:
    owner, stranger = await identity.owner(), await identity.owner()
    sam = await identity.member(owner, "sales")
    org_id, store = str(org_of(owner.access_token)), await store_of(identity, owner)

    async def may(person: Person, permission: str, *, store_id: str = "", org: str = org_id) -> bool:
        answer = await directory.CheckPermission(
            identity_pb2.CheckPermissionRequest(
                user_id=str(id_of(person)), org_id=org, store_id=store_id, permission=permission
            )
        )
        return bool(answer.allowed)

    assert await may(owner, "audit:event:export")
    assert await may(owner, "inventory:vehicle:sell", store_id=store)
    assert await may(sam, "inventory:vehicle:sell", store_id=store)
    assert not await may(sam, "inventory:vehicle:sell", store_id=str(uuid4()))
    assert not await may(sam, "inventory:vehicle:sell"), "one store is not the organisation"
    assert not await may(sam, "audit:event:export")
    assert not await may(stranger, "inventory:vehicle:sell", store_id=store)
    assert not await may(owner, "audit:event:export", org=str(org_of(stranger.access_token)))
    await identity.ask("POST", f"/members/{id_of(sam)}:suspend", owner)
    assert not await may(sam, "inventory:vehicle:sell", store_id=store)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await may(owner, "inventory:vehicle:steal")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_history_names_members_and_calls_the_others_former(
    identity: Identity, directory: identity_pb2_grpc.IdentityServiceStub
) -> None:
    owner, stranger = await identity.owner(), await identity.owner()
    sam = await identity.member(owner, "sales")
    asked = [str(id_of(person)) for person in (sam, stranger, owner)] + [str(uuid4())]
    request = identity_pb2.DescribeUserRequest(org_id=str(org_of(owner.access_token)), user_ids=asked)
    users = (await directory.DescribeUser(request)).users
    assert [user.user_id for user in users] == asked
    assert [(user.name, user.former) for user in users] == [
        ("Sam Ortega", False), ("", True), ("Dana Whitfield", False), ("", True),
    ]
    await identity.ask("DELETE", f"/members/{id_of(sam)}", owner)
    assert (await directory.DescribeUser(request)).users[0].former


async def test_nobody_describes_more_than_a_page(directory: identity_pb2_grpc.IdentityServiceStub) -> None:
    request = identity_pb2.DescribeUserRequest(org_id=str(uuid4()), user_ids=[str(uuid4())] * 501)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await directory.DescribeUser(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
