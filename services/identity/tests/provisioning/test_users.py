"""What a directory can do to an organisation's people, and what it cannot."""

from services.identity.tests.provisioning.conftest import Directory


async def test_a_user_is_created_read_and_deactivated(directory: Directory) -> None:
    user = await directory.created(externalId="00u1", name={"givenName": "Sam", "familyName": "Ortega"})
    email = user["userName"]
    assert (user["displayName"], user["active"], user["externalId"]) == ("Sam Ortega", True, "00u1")
    assert await directory.roles(email) == ["sales"]
    read = await directory.send("GET", f"/Users/{user['id']}")
    assert read.headers["content-type"] == "application/scim+json"
    assert read.json() == user
    answer = await directory.patch(user, {"op": "Replace", "path": "active", "value": "False"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["active"] is False
    assert await directory.roles(email) == []
    again = await directory.patch(user, {"op": "replace", "value": {"active": True}})
    assert again.json()["active"] is True
    assert await directory.roles(email) == ["sales"]
    assert (await directory.send("DELETE", f"/Users/{user['id']}")).status_code == 204
    assert (await directory.send("GET", f"/Users/{user['id']}")).status_code == 404
    assert await directory.roles(email) == []
