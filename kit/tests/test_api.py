"""The HTTP door: problems, permissions, tenants, idempotency."""

import asyncio
from uuid import uuid4

from kit.tests.conftest import Sample
from lotpro_kit import testing


async def test_a_note_added_by_a_manager_is_listed_and_announced(sample: Sample) -> None:
    async with sample.client("manager") as client:
        made = await client.post("/api/sample/v1/notes", json={"store_id": str(sample.store_id), "title": "a"})
        assert made.status_code == 201, made.text
        assert made.headers["etag"] == '"v1"'
        listed = await client.get("/api/sample/v1/notes")
    assert [note["title"] for note in listed.json()] == ["a"]
    events = await testing.events(sample.runtime.database, containing=str(sample.store_id))
    assert events == [
        ("lotpro.identity.v1.StoreOpened", {"org_id": str(sample.org_id), "store_id": str(sample.store_id)})
    ]


async def test_another_organisation_sees_nothing_and_may_not_write_into_this_ones_store(sample: Sample) -> None:
    async with sample.client("manager") as client:
        await client.post("/api/sample/v1/notes", json={"store_id": str(sample.store_id), "title": "a"})
    async with sample.client("manager", org_id=uuid4()) as stranger:
        assert (await stranger.get("/api/sample/v1/notes")).json() == []
    async with sample.client("manager", store_id=uuid4()) as neighbour:
        assert (await neighbour.get("/api/sample/v1/notes")).json() == []
        refused = await neighbour.post("/api/sample/v1/notes", json={"store_id": str(sample.store_id), "title": "b"})
        assert refused.status_code == 404


async def test_anonymous_and_powerless_callers_get_problems_with_codes(sample: Sample) -> None:
    async with sample.anonymous() as client:
        refused = await client.get("/api/sample/v1/notes")
        assert (refused.status_code, refused.json()["code"]) == (401, "auth.unauthenticated")
        assert refused.headers["content-type"] == "application/problem+json"
    async with sample.client("viewer") as client:
        refused = await client.get("/api/sample/v1/notes")
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")


async def test_bad_bodies_name_the_field_and_never_repeat_its_value(sample: Sample) -> None:
    async with sample.client("manager") as client:
        broken = await client.post(
            "/api/sample/v1/notes", content=b'{"title": ', headers={"content-type": "application/json"}
        )
        assert (broken.status_code, broken.json()["code"]) == (400, "request.malformed_json")
        wrong = await client.post("/api/sample/v1/notes", json={"store_id": "jane@example.com", "tittle": "jane"})
        assert wrong.status_code == 422
        assert {item["pointer"] for item in wrong.json()["errors"]} == {"/body/store_id", "/body/title", "/body/tittle"}
        assert "jane" not in wrong.text
        large = await client.post("/api/sample/v1/notes", content=b"x" * 1_048_577)
        assert (large.status_code, large.json()["code"]) == (413, "request.too_large")
        failed = await client.post("/api/sample/v1/notes", json={"store_id": str(sample.store_id), "title": "broken"})
        assert (failed.status_code, failed.json()["code"]) == (500, "internal.error")
        assert "jane" not in failed.text


async def test_the_same_idempotency_key_gives_the_same_answer_and_one_note(sample: Sample) -> None:
    body = {"store_id": str(sample.store_id), "title": "once"}
    headers = {"idempotency-key": "k-1"}
    async with sample.client("manager") as client:
        answers = await asyncio.gather(
            *(client.post("/api/sample/v1/notes", json=body, headers=headers) for _ in range(8))
        )
        again = await client.post("/api/sample/v1/notes", json=body, headers=headers)
        other = await client.post("/api/sample/v1/notes", json=body | {"title": "two"}, headers=headers)
        assert len((await client.get("/api/sample/v1/notes")).json()) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert again.status_code == 201
    assert again.content == next(answer.content for answer in answers if answer.status_code == 201)
    assert again.headers["etag"] == '"v1"'
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")


async def test_openapi_says_which_permission_an_operation_needs(sample: Sample) -> None:
    async with sample.anonymous() as client:
        document = (await client.get("/api/sample/openapi.json")).json()
    operation = document["paths"]["/api/sample/v1/notes"]["post"]
    assert operation["operationId"] == "add_note"
    assert operation["x-permission"] == "inventory:vehicle:add"
    assert "sample.note_taken" in operation["responses"]["409"]["content"]["application/problem+json"]["examples"]
