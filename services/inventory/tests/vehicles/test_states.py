"""Every (state, action, role): what the table allows, and nothing else."""

import itertools

import pytest

import lotpro_policy
from lotpro_inventory.vehicles import states
from lotpro_inventory.vehicles.states import Action, State, TransitionRefused

#: Drawn by hand, row by row, from the dealer's way: what each state can do, and where that leads.
WAYS = {
    "incoming": {"receive": "intake"},
    "intake": {"start_recon": "recon", "put_on_frontline": "frontline", "sell": "sold"},
    "recon": {"put_on_frontline": "frontline", "sell": "sold"},
    "frontline": {"start_recon": "recon", "hold": "hold", "start_deal": "pending", "sell": "sold"},
    "hold": {"release": "frontline", "start_deal": "pending", "sell": "sold"},
    "pending": {"drop_deal": "frontline", "sell": "sold"},
    "sold": {"deliver": "delivered"},
    "delivered": {},
}
MAY = {
    "org_owner": {"sell", "other"},
    "store_admin": {"sell", "other"},
    "manager": {"sell", "other"},
    "sales": {"sell"},
    "porter": set(),
    "viewer": set(),
    "compliance": set(),
}


@pytest.mark.parametrize(("state", "action"), [*itertools.product(State, Action)])
def test_an_action_leads_where_the_table_says_or_is_refused(state: State, action: Action) -> None:
    target = WAYS[state].get(action)
    if target is None:
        with pytest.raises(TransitionRefused):
            states.after(state, action)
    else:
        assert states.after(state, action) == target


@pytest.mark.parametrize(("action", "role"), [*itertools.product(Action, MAY)])
def test_a_role_may_do_what_its_permission_says(action: Action, role: str) -> None:
    allowed = lotpro_policy.access().roles_for(states.TRANSITIONS[action].permission)
    assert (role in allowed) == (("sell" if action is Action.SELL else "other") in MAY[role])


@pytest.mark.parametrize(("origin", "target"), [*itertools.product(State, State)])
def test_a_wanted_state_is_reached_by_one_action_that_is_no_sale(origin: State, target: State) -> None:
    ways = [action for action, end in WAYS[origin].items() if end == target and action != "sell"]
    if ways:
        assert [states.action_between(origin, target)] == ways
    else:
        with pytest.raises(TransitionRefused):
            states.action_between(origin, target)


def test_every_state_can_be_reached_and_only_a_delivered_vehicle_is_at_its_end() -> None:
    reached = set(states.ENTRY) | {transition.target for transition in states.TRANSITIONS.values()}
    assert reached == set(State)
    origins = set().union(*(transition.origins for transition in states.TRANSITIONS.values()))
    assert set(State) - origins == {State.DELIVERED}
