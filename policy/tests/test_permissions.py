"""The permission table: complete, least privilege, and strict when read."""

import pytest
from pydantic import ValidationError

import lotpro_policy
from lotpro_policy.permissions import Scope, parse_access

ROLES = {"org_owner", "store_admin", "manager", "sales", "porter", "viewer", "compliance"}
SERVICES = {"identity", "inventory", "billing", "notifications", "privacy", "audit"}


def test_the_roles_are_the_seven_of_the_suite() -> None:
    assert set(lotpro_policy.access().roles) == ROLES


def test_every_service_has_permissions_and_each_is_granted_to_somebody() -> None:
    permissions = lotpro_policy.access().permissions
    assert {name.split(":")[0] for name in permissions} == SERVICES
    assert all(row.roles and row.about.endswith(".") for row in permissions.values())


@pytest.mark.parametrize("role", ["porter", "viewer"])
@pytest.mark.parametrize(
    "permission",
    [
        "inventory:vehicle:view_cost",
        "inventory:customer:view",
        "inventory:customer:list",
        "inventory:customer:add",
        "inventory:sale:view",
        "inventory:vehicle:sell",
    ],
)
def test_porter_and_viewer_never_see_cost_gross_or_customers(role: str, permission: str) -> None:
    assert role not in lotpro_policy.access().roles_for(permission)


@pytest.mark.parametrize(
    "permission", ["identity:store:open", "billing:subscription:view", "billing:subscription:manage"]
)
def test_only_the_owner_opens_stores_and_sees_the_bill(permission: str) -> None:
    access = lotpro_policy.access()
    assert access.roles_for(permission) - set(access.platform_roles) == {"org_owner"}


def test_store_administrators_see_and_remove_the_people_of_their_stores_as_the_policy_says() -> None:
    access = lotpro_policy.access()
    for permission in ("identity:member:list", "identity:member:remove", "audit:event:view"):
        assert "store_admin" in access.roles_for(permission)
        assert access.scope_of(permission) is Scope.STORE


def test_privacy_cases_are_worked_by_the_owner_and_compliance() -> None:
    access = lotpro_policy.access()
    for verb in ("open", "view", "answer"):
        assert access.roles_for(f"privacy:request:{verb}") - set(access.platform_roles) == {"org_owner", "compliance"}


def test_the_platforms_people_only_look_and_never_at_customers() -> None:
    access = lotpro_policy.access()
    for name, row in access.permissions.items():
        if row.roles & set(access.platform_roles):
            assert name.rsplit(":", 1)[1] in ("view", "list", "summarise"), name
            assert ":customer:" not in name
            assert ":sale:" not in name


def test_compliance_does_not_trade() -> None:
    granted = {name for name, row in lotpro_policy.access().permissions.items() if "compliance" in row.roles}
    assert not any(name.startswith(("inventory:", "billing:")) for name in granted)


def test_what_is_ones_own_is_everyones_and_nothing_else_is() -> None:
    for name, row in lotpro_policy.access().permissions.items():
        assert (row.scope is Scope.OWN) == (row.roles == ROLES), name


def test_an_unknown_permission_is_an_error_and_not_a_refusal() -> None:
    with pytest.raises(lotpro_policy.UnknownPermission):
        lotpro_policy.access().roles_for("inventory:vehicle:steal")


@pytest.mark.parametrize(
    "row",
    [
        {"roles": ["king"], "scope": "store", "about": "x"},
        {"roles": [], "scope": "store", "about": "x"},
        {"roles": ["owner"], "scope": "galaxy", "about": "x"},
        {"roles": ["owner"], "scope": "store", "about": "x", "note": "x"},
    ],
)
def test_a_malformed_row_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse_access({"roles": {"owner": "Owns."}, "permissions": {"inventory:vehicle:add": row}})
