"""Every role on every operation: allowed exactly where the permission table says so, refused everywhere else."""

import json
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

import lotpro_policy
from lotpro_policy.permissions import Scope
from tests.e2e import flow
from tests.e2e.operations import Operation, is_public, operations
from tests.e2e.stack import ROOT, Stack

DOCUMENT = json.loads((ROOT / "gateway" / "openapi.json").read_text(encoding="utf-8"))
PERMISSION = {
    described["operationId"]: described["x-permission"]
    for item in DOCUMENT["paths"].values()
    for described in item.values()
    if "x-permission" in described
}
GUARDED = [operation for operation in operations(DOCUMENT) if operation.name in PERMISSION]
ROLES = sorted([*lotpro_policy.access().roles, *lotpro_policy.access().platform_roles])
#: The permission is missing; other refusals have codes of their own.
REFUSED = "auth.forbidden"


def granted(role: str, permission: str, *, whole: bool) -> bool:
    """What the table says, read plainly: an organisation's permission needs the role for the whole of it."""
    row = lotpro_policy.access().permission(permission)
    return role in row.roles and (whole or row.scope is not Scope.ORGANISATION)


class Everyone:
    """Tokens of people who hold one role only, signed as identity signs."""

    def __init__(self, state: Path, org_id: str) -> None:
        secrets = json.loads((state / "keys.json").read_text(encoding="utf-8"))
        self._key = ECKey.import_key(secrets["identity-signing-key"], {"alg": "ES256", "use": "sig"})
        self._key.ensure_kid()
        self._org_id = org_id

    def token(self, role: str, where: str) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://lotpro.space/identity", "aud": "lotpro", "sub": str(uuid4()), "sid": str(uuid4()),
            "org": self._org_id, "roles": {where: [role]}, "av": 1, "aal": "aal2", "amr": ["pwd", "otp"],
            "auth_time": now, "iat": now, "exp": now + 300, "jti": str(uuid4()),
        }
        header = {"alg": "ES256", "kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])


#: Permissions that no operation asks for by itself: a field is left out without the first; the others wait for theirs.
WAITING = {
    "inventory:vehicle:view_cost", "billing:subscription:manage", "privacy:request:open_own",
    "privacy:request:view_own",
}
#: What is one's own as a person: account, factors, sessions, devices, and where one belongs.
#: Opening an access asks for one of the platform's people, whom no dealer's role makes.
FREE = {
    "get_own_account", "update_own_account", "close_own_account", "change_password", "change_email",
    "confirm_email_change", "list_factors", "rename_factor", "remove_factor", "enrol_totp", "confirm_totp",
    "begin_passkey", "add_passkey", "enrol_codes", "confirm_codes", "renew_recovery_codes", "list_sessions",
    "get_current_session", "revoke_session", "revoke_other_sessions", "sign_out", "sign_out_everywhere",
    "begin_step_up", "step_up", "switch_organisation", "list_devices", "revoke_device", "revoke_all_devices",
    "get_current_organisation", "list_own_organisations", "create_organisation", "leave_organisation",
    "list_own_events", "open_access", "close_access", "get_picture", "set_own_picture", "remove_own_picture",
    "get_preferences", "set_preferences", "clear_preferences", "report_views", "view_usage_objection",
    "object_to_usage", "withdraw_usage_objection", "get_latest_checkpoint", "get_checkpoint", "prove_consistency",
    "prove_event",
}


@pytest.fixture(scope="module")
def everyone(stack: Stack, stranger: flow.Story) -> Everyone:
    """People of an organisation that has sold nothing yet: what they may do finds little to be done to."""
    return Everyone(stack.state, stranger.ids["organisation_id"])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("whole", [True, False], ids=["everywhere", "in_one_store"])
def test_a_role_may_do_what_the_table_says_and_no_more(
    stack: Stack, everyone: Everyone, role: str, *, whole: bool
) -> None:
    token = everyone.token(role, "*" if whole else str(uuid4()))
    wrong = []
    with httpx.Client(trust_env=False, timeout=20, headers={"authorization": f"Bearer {token}"}) as client:
        for operation in GUARDED:
            answer = _ask(client, stack, operation)
            assert answer.status_code < 500, f"{operation.name}: {answer.text[:300]}"
            refused = answer.status_code == 403 and answer.json()["code"] == REFUSED
            if refused == granted(role, PERMISSION[operation.name], whole=whole):
                wrong.append(f"{operation.name}: {answer.status_code} {answer.text[:120]}")
    assert wrong == []


def _ask(client: httpx.Client, stack: Stack, operation: Operation) -> httpx.Response:
    service = operation.path.split("/")[2]
    url = f"http://127.0.0.1:{stack.ports[f'{service}_http']}{operation.path_with({})}"
    return client.request(operation.method, url, json=operation.body_with({}), headers={"if-match": '"v1"'})


def test_every_permission_of_the_table_is_asked_for_somewhere() -> None:
    """A row that no door asks for promises something that is not there, or is waiting: then it stands in this list."""
    waiting = set(lotpro_policy.access().permissions) - set(PERMISSION.values())
    assert waiting <= WAITING, sorted(waiting - WAITING)
    assert not WAITING - waiting, f"asked for now: {sorted(WAITING - waiting)}"


def test_whoever_is_signed_in_needs_a_permission_for_all_but_their_own() -> None:
    """What needs a session but no permission touches only what is the caller's own, or their organisation's name."""
    free = {op.name for op in operations(DOCUMENT) if op.name not in PERMISSION and not is_public(op)}
    assert free == FREE, (sorted(free - FREE), sorted(FREE - free))
