"""The states of a vehicle in stock, and who may move it from which to which."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lotpro_kit import errors


class TransitionRefused(errors.Conflict):
    """The table of states has no such way."""

    code = "inventory.vehicle_transition_refused"
    message = "A vehicle in this state cannot do this."


class State(StrEnum):
    """Where a vehicle stands between being bought and being handed over."""

    INCOMING = "incoming"
    INTAKE = "intake"
    RECON = "recon"
    FRONTLINE = "frontline"
    HOLD = "hold"
    PENDING = "pending"
    SOLD = "sold"
    DELIVERED = "delivered"


class Action(StrEnum):
    """What moves a vehicle on."""

    RECEIVE = "receive"
    START_RECON = "start_recon"
    PUT_ON_FRONTLINE = "put_on_frontline"
    HOLD = "hold"
    RELEASE = "release"
    START_DEAL = "start_deal"
    DROP_DEAL = "drop_deal"
    SELL = "sell"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: from any of these states to that one, with this permission."""

    origins: frozenset[State]
    target: State
    permission: str


_UPDATE = "inventory:vehicle:update"

TRANSITIONS: Mapping[Action, Transition] = {
    Action.RECEIVE: Transition(frozenset({State.INCOMING}), State.INTAKE, _UPDATE),
    Action.START_RECON: Transition(frozenset({State.INTAKE, State.FRONTLINE}), State.RECON, _UPDATE),
    Action.PUT_ON_FRONTLINE: Transition(frozenset({State.INTAKE, State.RECON}), State.FRONTLINE, _UPDATE),
    Action.HOLD: Transition(frozenset({State.FRONTLINE}), State.HOLD, _UPDATE),
    Action.RELEASE: Transition(frozenset({State.HOLD}), State.FRONTLINE, _UPDATE),
    Action.START_DEAL: Transition(frozenset({State.FRONTLINE, State.HOLD}), State.PENDING, _UPDATE),
    Action.DROP_DEAL: Transition(frozenset({State.PENDING}), State.FRONTLINE, _UPDATE),
    Action.SELL: Transition(
        frozenset({State.INTAKE, State.RECON, State.FRONTLINE, State.HOLD, State.PENDING}),
        State.SOLD,
        "inventory:vehicle:sell",
    ),
    Action.DELIVER: Transition(frozenset({State.SOLD}), State.DELIVERED, _UPDATE),
}

#: In these a vehicle is the store's: its VIN may not come in a second time.
OPEN = frozenset(State) - {State.SOLD, State.DELIVERED}
#: A vehicle enters the stock in one of these.
ENTRY = frozenset({State.INCOMING, State.INTAKE, State.RECON, State.FRONTLINE})


def after(state: State, action: Action) -> State:
    """The state an action leads to; raises TransitionRefused where the table has no such row."""
    transition = TRANSITIONS[action]
    if state not in transition.origins:
        raise TransitionRefused(f"A vehicle in state {state} cannot do this: {action}.")
    return transition.target


def action_between(origin: State, target: State) -> Action:
    """The action, other than selling, that leads from one state to another; raises TransitionRefused without one."""
    for action, transition in TRANSITIONS.items():
        if action is not Action.SELL and origin in transition.origins and transition.target is target:
            return action
    raise TransitionRefused(f"A vehicle cannot go from {origin} to {target}.")
