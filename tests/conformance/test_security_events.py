"""Every security event that identity records is of the OCSF class that a security team would look for it under."""

import ast
from pathlib import Path

import pytest

from lotpro_audit.events import domain

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ROOT / "services" / "identity" / "src"

#: By hand from the Open Cybersecurity Schema Framework 1.x, not from audit's code.
FINDING, ACCOUNT, AUTHENTICATION = "Detection Finding", "Account Change", "Authentication"
AUTHORIZE, ENTITY, ACCESS = "Authorize Session", "Entity Management", "User Access Management"
UID = {FINDING: 2004, ACCOUNT: 3001, AUTHENTICATION: 3002, AUTHORIZE: 3003, ENTITY: 3004, ACCESS: 3005}

EXPECTED = {
    # Proving who one is, and that being over.
    "identity:session:create": AUTHENTICATION,
    "identity:session:revoke": AUTHENTICATION,
    "identity:session:step_up": AUTHENTICATION,
    "identity:factor:send_code": AUTHENTICATION,
    # The same session at work for another organisation, with other rights.
    "identity:session:switch": AUTHORIZE,
    # What somebody ought to look at.
    "identity:session:refresh_reuse": FINDING,
    "identity:session:suspicious": FINDING,
    # The account, and what proves it.
    "identity:account:sign_up": ACCOUNT,
    "identity:account:update": ACCOUNT,
    "identity:account:lock": ACCOUNT,
    "identity:account:close": ACCOUNT,
    "identity:account:reopen": ACCOUNT,
    "identity:account:anonymise": ACCOUNT,
    "identity:account:delete": ACCOUNT,
    "identity:email:confirm": ACCOUNT,
    "identity:email:request_change": ACCOUNT,
    "identity:email:change": ACCOUNT,
    "identity:email:undo_change": ACCOUNT,
    "identity:password:change": ACCOUNT,
    "identity:password:request_reset": ACCOUNT,
    "identity:password:reset": ACCOUNT,
    "identity:password:require_reset": ACCOUNT,
    "identity:factor:enrol": ACCOUNT,
    "identity:factor:rename": ACCOUNT,
    "identity:factor:remove": ACCOUNT,
    "identity:factor:renew_recovery_codes": ACCOUNT,
    "identity:factor:offer_reset": ACCOUNT,
    "identity:factor:reset": ACCOUNT,
    "identity:federation:link": ACCOUNT,
    # Who may do what where.
    "identity:member:invite": ACCESS,
    "identity:member:uninvite": ACCESS,
    "identity:member:join": ACCESS,
    "identity:member:update": ACCESS,
    "identity:member:remove": ACCESS,
    "identity:member:suspend": ACCESS,
    "identity:member:resume": ACCESS,
    "identity:member:provision": ACCESS,
    "identity:member:deprovision": ACCESS,
    "identity:access:open": ACCESS,
    "identity:access:close": ACCESS,
    "identity:organisation:transfer": ACCESS,
    # Things that are looked after: devices, stores, organisations, connections to others.
    "identity:device:trust": ENTITY,
    "identity:device:revoke": ENTITY,
    "identity:store:open": ENTITY,
    "identity:organisation:orphan": ENTITY,
    "identity:organisation:create": ENTITY,
    "identity:organisation:update": ENTITY,
    "identity:organisation:suspend": ENTITY,
    "identity:organisation:resume": ENTITY,
    "identity:federation:update": ENTITY,
    "identity:provisioning:create_token": ENTITY,
    "identity:provisioning:revoke_token": ENTITY,
}

#: Names that are put together when they are recorded, and what can come of it.
PUT_TOGETHER = {
    "identity:account:{verb}": {"identity:account:anonymise", "identity:account:delete"},
}


def recorded() -> set[str]:
    """The action of every `security_log.record(...)` in identity's source."""
    found: set[str] = set()
    for file in IDENTITY.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and node.func.attr == "record" and ast.unparse(node.func.value).endswith("security_log"):
                found |= _actions(node.args[2], file)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_record":
                found |= {
                    str(one.value) for one in node.args
                    if isinstance(one, ast.Constant) and str(one.value).startswith("identity:")
                }
    return found


def _actions(given: ast.expr, file: Path) -> set[str]:
    if isinstance(given, ast.Constant):
        return {str(given.value)}
    if isinstance(given, ast.Name):
        # A function that hands an action on: what it is called with stands in the calls.
        return set()
    if isinstance(given, ast.IfExp):
        return _actions(given.body, file) | _actions(given.orelse, file)
    text = ast.unparse(given).removeprefix("f").strip("'\"")
    assert text in PUT_TOGETHER, f"{file}:{given.lineno}: say in PUT_TOGETHER what {text} can be"
    return PUT_TOGETHER[text]


def test_every_action_that_identity_records_is_known_here() -> None:
    assert len(recorded()) > 30, "the scan finds the calls"
    assert sorted(recorded() - set(EXPECTED)) == []


@pytest.mark.parametrize("action", sorted(EXPECTED))
def test_audit_shows_it_under_the_right_class(action: str) -> None:
    assert domain.ocsf(action) == (UID[EXPECTED[action]], EXPECTED[action])
