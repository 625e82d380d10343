"""Ids, cursors and settings."""

import base64
import os
import time
from uuid import uuid4

import pytest
from pydantic import ValidationError

from kit.tests.sample import app
from lotpro_kit import ids, testing
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor


def test_new_ids_are_version_7_and_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.new()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert len({ids.new() for _ in range(1000)}) == 1000


def test_a_cursor_belongs_to_one_tenant_and_one_list() -> None:
    cursors = Cursors(base64.b64encode(os.urandom(32)).decode())
    mine, other = Caller("user", org_id=uuid4()), Caller("user", org_id=uuid4())
    cursor = cursors.write(mine, "vehicles?state=frontline", ["2026-01-01", 7])
    assert cursors.read(mine, "vehicles?state=frontline", cursor) == ["2026-01-01", 7]
    for caller, listing, value in (
        (other, "vehicles?state=frontline", cursor),
        (mine, "vehicles", cursor),
        (mine, "vehicles?state=frontline", cursor[:-2] + "AA"),
        (mine, "vehicles?state=frontline", "!"),
        (mine, "vehicles?state=frontline", ""),
    ):
        with pytest.raises(InvalidCursor):
            cursors.read(caller, listing, value)


def production(**changes: object) -> dict[str, object]:
    return {
        "environment": "production",
        "database_url": "postgresql+asyncpg://sample_app@lotpro.postgres.database.azure.com/sample",
        "vault_url": "https://lotpro.vault.azure.net",
        "entra_issuer": "https://login.microsoftonline.com/tenant/v2.0",
        "entra_jwks_url": "https://login.microsoftonline.com/tenant/discovery/v2.0/keys",
        "public_url": "https://app.lotpro.space",
    } | changes


def test_production_starts_with_real_endpoints_only() -> None:
    assert testing.settings(app.SERVICE, **production()).environment == "production"


@pytest.mark.parametrize(
    "change",
    [
        {"vault_url": "https://localhost:8343"},
        {"public_url": "http://app.lotpro.space"},
        {"vault_verify_challenge": False},
        {"servicebus_endpoint": "sb://localhost:5671"},
        {"database_url": "postgresql+asyncpg://sample_app@127.0.0.1/sample"},
        {"entra_issuer": "http://127.0.0.1:8310/tenant/v2.0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_production_refuses_to_start_on_a_sandbox(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="refusing to start in production"):
        testing.settings(app.SERVICE, **production(**change))
