"""Invitations that wait: seen, sent again, taken back."""

from datetime import timedelta

from services.identity.tests.conftest import Identity, Person, org_of

ACCEPT = {"name": "Robin Vega", "password": "another-quiet-lot-42"}


async def invited(identity: Identity, owner: Person, email: str, role: str = "sales") -> tuple[str, str]:
    """An invitation's id and token."""
    here = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"][0]["id"]
    answer = await identity.ask("POST", "/invitations", owner, {"email": email, "role": role, "store_id": here})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], (await identity.mailed(email)).code


def address(owner: Person) -> str:
    return f"robin.{org_of(owner.access_token).hex}@example.com"


async def test_an_invitation_is_listed_until_it_is_accepted(identity: Identity) -> None:
    owner = await identity.owner()
    invitation, token = await invited(identity, owner, address(owner))
    [listed] = (await identity.ask("GET", "/invitations", owner)).json()["items"]
    assert (listed["id"], listed["email"], listed["role"]) == (invitation, address(owner), "sales")
    assert (await identity.post("/invitations:accept", {"token": token} | ACCEPT)).status_code == 200
    assert (await identity.ask("GET", "/invitations", owner)).json()["items"] == []
    reused = await identity.post("/invitations:accept", {"token": token} | ACCEPT)
    assert (reused.status_code, reused.json()["code"]) == (422, "identity.code_invalid")


async def test_an_invitation_that_was_taken_back_opens_nothing(identity: Identity) -> None:
    owner = await identity.owner()
    invitation, token = await invited(identity, owner, address(owner))
    assert (await identity.ask("DELETE", f"/invitations/{invitation}", owner)).status_code == 204
    assert (await identity.ask("GET", "/invitations", owner)).json()["items"] == []
    refused = await identity.post("/invitations:accept", {"token": token} | ACCEPT)
    assert refused.json()["code"] == "identity.code_invalid"
    assert (await identity.ask("DELETE", f"/invitations/{invitation}", owner)).status_code == 404


async def test_an_expired_invitation_is_shown_and_can_be_sent_again(identity: Identity) -> None:
    owner = await identity.owner()
    invitation, old = await invited(identity, owner, address(owner))
    identity.clock.advance(timedelta(days=8))
    fresh = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    owner.access_token = fresh.json()["access_token"]
    [listed] = (await identity.ask("GET", "/invitations", owner)).json()["items"]
    assert listed["expires_at"] is None
    assert (await identity.ask("POST", f"/invitations/{invitation}:resend", owner)).status_code == 202
    new = (await identity.mailed(address(owner))).code
    assert new != old
    assert (await identity.post("/invitations:accept", {"token": old} | ACCEPT)).status_code == 422
    assert (await identity.post("/invitations:accept", {"token": new} | ACCEPT)).status_code == 200


async def test_sending_again_has_its_limit(identity: Identity) -> None:
    owner = await identity.owner()
    invitation, _ = await invited(identity, owner, address(owner))
    statuses = [
        (await identity.ask("POST", f"/invitations/{invitation}:resend", owner)).status_code for _ in range(12)
    ]
    assert statuses[0] == 202
    assert statuses[-1] == 429


async def test_a_store_admin_sees_the_invitations_of_the_store_only(identity: Identity) -> None:
    owner = await identity.owner()
    admin = await identity.member(owner, "store_admin")
    elsewhere = {"name": "Omaha", "time_zone": "America/Chicago"}
    omaha = (await identity.ask("POST", "/stores", owner, elsewhere)).json()["id"]
    body = {"email": address(owner), "role": "sales", "store_id": omaha}
    there = (await identity.ask("POST", "/invitations", owner, body)).json()["id"]
    assert (await identity.ask("GET", "/invitations", admin)).json()["items"] == []
    for act in ("DELETE /invitations/{}", "POST /invitations/{}:resend"):
        method, path = act.split()
        assert (await identity.ask(method, path.format(there), admin)).status_code == 404


async def test_another_dealer_finds_no_invitation(identity: Identity) -> None:
    owner, stranger = await identity.owner(), await identity.owner()
    invitation, _ = await invited(identity, owner, address(owner))
    assert (await identity.ask("DELETE", f"/invitations/{invitation}", stranger)).status_code == 404
    assert (await identity.ask("POST", f"/invitations/{invitation}:resend", stranger)).status_code == 404


async def test_a_member_is_not_invited_to_what_they_are(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    here = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"][0]["id"]
    body = {"email": sam.email.upper(), "role": "sales", "store_id": here}
    answer = await identity.ask("POST", "/invitations", owner, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity.already_member")
