"""Closing one's own account, taking that back, and accounts that an administrator deletes."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import testing
from services.identity.tests.conftest import Person, id_of, org_of
from services.identity.tests.lifecycle.conftest import Lives

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


async def contacts(lives: Lives, person: Person) -> list[str]:
    """The addresses that identity tells notifications."""
    async with testing.serve_rpc(lives.identity.parts, lives.identity.runtime, lives.identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("notifications"))
        answer = await stub.GetContacts(identity_pb2.GetContactsRequest(user_ids=[str(id_of(person))]))
    return [contact.email for contact in answer.contacts]


async def test_a_closed_account_is_of_no_use_at_once_and_gone_after_thirty_days(lives: Lives) -> None:
    owner = await lives.identity.owner()
    person, start = id_of(owner), lives.identity.clock()
    answer = await lives.close(owner)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "closing"
    await lives.refused_at_once(owner)
    closed = await lives.sign_in(owner)
    unknown = await lives.sign_in(Person(f"{uuid4().hex}@prairie-motors.com"))
    assert (closed.status_code, closed.json() | {"trace_id": ""}) == (
        unknown.status_code, unknown.json() | {"trace_id": ""}
    )
    await lives.job("delete-closed", start + 30 * DAY - SECOND)
    assert (await lives.account(person)).email == owner.email
    foreseen = await lives.job("delete-closed", start + 30 * DAY, dry_run=True)
    assert (await lives.account(person)).email == owner.email
    assert await lives.job("delete-closed", start + 30 * DAY) == foreseen
    assert (await lives.account(person)).status == "deleted"
    assert owner.email not in await lives.stored()
    # In any order: within a millisecond ids have none.
    assert set((await lives.names(person))[-2:]) == {"AccountAnonymised", "AccountDeleted"}
    assert (await lives.job("delete-closed", start + 31 * DAY))["deleted"] == 0


@pytest.mark.parametrize(("after", "works"), [(29 * DAY, True), (30 * DAY - SECOND, True), (30 * DAY, False)])
async def test_closing_is_taken_back_within_thirty_days(lives: Lives, after: timedelta, works: bool) -> None:
    owner = await lives.identity.owner()
    await lives.close(owner)
    mailed = await lives.identity.mailed(owner.email)
    assert mailed.purpose == "undo_close"
    lives.identity.clock.advance(after)
    answer = await lives.identity.post("/accounts:reopen", {"token": mailed.code})
    if not works:
        assert (answer.status_code, answer.json()["code"]) == (422, "identity.code_invalid")
        assert (await lives.sign_in(owner)).status_code == 401
        return
    assert answer.status_code == 204, answer.text
    assert (await lives.sign_in(owner)).json()["status"] == "factor_required"
    again = await lives.identity.post("/accounts:reopen", {"token": mailed.code})
    assert (again.status_code, again.json()["code"]) == (422, "identity.code_invalid")
    account = await lives.account(id_of(owner))
    assert (account.status, account.delete_after) == ("active", None)
    assert account.last_active_at == lives.identity.clock()
    await lives.job("delete-closed", lives.identity.clock() + 2 * DAY)
    assert (await lives.account(id_of(owner))).email == owner.email


async def test_a_token_of_another_kind_reopens_nothing(lives: Lives) -> None:
    owner = await lives.identity.owner()
    email = f"{uuid4().hex[:12]}@prairie-motors.com"
    await lives.identity.post("/invitations", {"email": email, "role": "compliance"}, token=owner.access_token)
    invitation = (await lives.identity.mailed(email)).code
    await lives.close(owner)
    for token in (invitation, "A" * 64, "x" * 40):
        answer = await lives.identity.post("/accounts:reopen", {"token": token})
        assert (answer.status_code, answer.json()["code"]) == (422, "identity.code_invalid")


async def test_closing_wants_a_fresh_second_factor(lives: Lives) -> None:
    owner = await lives.identity.owner()
    for _ in range(4):
        lives.identity.clock.advance(timedelta(minutes=4))
        fresh = await lives.identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
        owner.access_token, owner.refresh_token = fresh.json()["access_token"], fresh.json()["refresh_token"]
    for refused in (await lives.close(owner), await lives.remove(owner, uuid4())):
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.step_up_required")


async def test_the_last_owner_stays_while_others_work_there(lives: Lives) -> None:
    owner = await lives.identity.owner()
    seller = await lives.identity.member(owner, "sales")
    refused = await lives.close(owner)
    assert (refused.status_code, refused.json()["code"]) == (409, "identity.last_owner")
    assert (await lives.close(seller)).status_code == 202
    assert (await lives.close(owner)).status_code == 202


async def test_of_two_owners_who_close_at_once_one_stays(lives: Lives) -> None:
    owner = await lives.identity.owner()
    other = await lives.identity.member(owner, "org_owner", store=False)
    await lives.identity.member(owner, "sales")
    answers = await asyncio.gather(lives.close(owner), lives.close(other))
    assert sorted(answer.status_code for answer in answers) == [202, 409]


async def test_a_closing_account_joins_nothing(lives: Lives) -> None:
    owner, other = await lives.identity.owner(), await lives.identity.owner()
    invite = {"email": other.email, "role": "compliance"}
    await lives.identity.post("/invitations", invite, token=owner.access_token)
    token = (await lives.identity.mailed(other.email)).code
    await lives.close(other)
    accept = {"token": token, "name": "Dana Whitfield", "password": other.password}
    refused = await lives.identity.post("/invitations:accept", accept)
    assert (refused.status_code, refused.json()["code"]) == (422, "identity.code_invalid")
    signed_up = await lives.identity.post("/accounts", lives.identity.sign_up_body(other.email))
    assert signed_up.status_code == 202
    assert (await lives.account(id_of(other))).status == "closing"


async def test_an_administrator_deletes_an_account_and_its_owner_can_still_be_told(lives: Lives) -> None:
    owner = await lives.identity.owner()
    seller = await lives.identity.member(owner, "sales")
    person, start = id_of(seller), lives.identity.clock()
    assert (await lives.remove(owner, person)).status_code == 204
    await lives.refused_at_once(seller)
    assert (await lives.sign_in(seller)).status_code == 401
    listed = (await lives.identity.get("/members", token=owner.access_token)).json()["items"]
    assert [item["user_id"] for item in listed] == [str(id_of(owner))]
    ordered = ("AccountDeletionOrdered", {"user_id": str(person), "org_id": str(org_of(owner.access_token))})
    assert (await lives.events(person))[-1] == ordered
    await lives.job("delete-closed", start + timedelta(minutes=10) - SECOND)
    assert await contacts(lives, seller) == [seller.email]
    await lives.job("delete-closed", start + timedelta(minutes=10))
    assert await contacts(lives, seller) == []
    assert seller.email not in await lives.stored()
    assert (await lives.remove(owner, person)).status_code == 404


async def test_nobody_deletes_beyond_their_reach(lives: Lives) -> None:
    owner, stranger = await lives.identity.owner(), await lives.identity.owner()
    admin, seller = await lives.identity.member(owner, "store_admin"), await lives.identity.member(owner, "sales")

    async def tried(caller: Person, person: Person) -> tuple[int, str]:
        answer = await lives.remove(caller, id_of(person))
        return answer.status_code, answer.json()["code"] if answer.content else ""

    assert await tried(owner, owner) == (409, "identity.own_account")
    assert (await tried(stranger, seller))[0] == 404
    assert (await tried(seller, admin))[0] == 403
    assert (await tried(admin, owner))[0] == 404
    invite = {"email": seller.email, "role": "compliance"}
    await lives.identity.post("/invitations", invite, token=stranger.access_token)
    accept = {
        "token": (await lives.identity.mailed(seller.email)).code, "name": "Sam", "password": seller.password,
    }
    assert (await lives.identity.post("/invitations:accept", accept)).status_code == 200
    assert await tried(admin, seller) == (409, "identity.member_elsewhere")
    other = await lives.identity.member(owner, "store_admin")
    assert await tried(admin, other) == (409, "identity.member_out_of_reach")
    assert await tried(owner, other) == (204, "")
    third = await lives.identity.member(owner, "porter")
    assert await tried(admin, third) == (204, "")


async def test_two_owners_who_delete_each_other_do_not_both_go(lives: Lives) -> None:
    owner = await lives.identity.owner()
    other = await lives.identity.member(owner, "org_owner", store=False)
    answers = await asyncio.gather(lives.remove(owner, id_of(other)), lives.remove(other, id_of(owner)))
    assert sorted(answer.status_code for answer in answers) in ([204, 401], [204, 404])
    told = await testing.events(lives.identity.runtime.database, containing=str(org_of(owner.access_token)))
    assert "lotpro.identity.v1.OrganisationOrphaned" not in [name for name, _ in told]
