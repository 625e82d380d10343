"""Rules that judge a sign-in; pure. Each names what it saw, so that the security log can say why."""

from dataclasses import dataclass
from enum import StrEnum

#: From this score on a second factor is asked for even on a trusted device, and the owner is told.
HIGH = 3
#: Files place an address within some tens of kilometres; what is nearer than this is no travel.
NEARBY_KILOMETRES = 200.0
#: Accounts that passwords were tried on from one address without success, in a quarter of an hour: people at one dealer
#: mistype, ten of them at once do not. Codes sent for one person in that time: one got lost, another came late.
MANY_ACCOUNTS, CODE_BURST = 10, 4
#: A minute, so that two sign-ins at once have a speed.
SHORTEST_HOURS = 1 / 60


class Signal(StrEnum):
    """What is unusual."""

    NEW_AGENT = "new_agent"
    NEW_NETWORK = "new_network"
    FAILED_BEFORE = "failed_before"
    FACTOR_FATIGUE = "factor_fatigue"
    BUSY_ADDRESS = "busy_address"
    MANY_ACCOUNTS = "many_accounts"
    CODE_BURST = "code_burst"
    DORMANT = "dormant"
    IMPOSSIBLE_TRAVEL = "impossible_travel"


_WEIGHT = {
    Signal.NEW_AGENT: 1,
    Signal.NEW_NETWORK: 1,
    Signal.FAILED_BEFORE: 1,
    Signal.DORMANT: 1,
    Signal.FACTOR_FATIGUE: 2,
    Signal.BUSY_ADDRESS: 2,
    Signal.MANY_ACCOUNTS: 3,
    Signal.CODE_BURST: 1,
    Signal.IMPOSSIBLE_TRAVEL: 3,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at a sign-in. Without any earlier session nothing is new: it is the first."""

    earlier_sessions: int
    known_agent: bool
    known_network: bool
    #: Wrong passwords for this account in the window, from anywhere.
    failed_passwords: int = 0
    #: Wrong second factors for this account in the window, after a right password.
    failed_factors: int = 0
    #: Tries from this address in the window, for any account.
    tries_from_address: int = 0
    #: Accounts that were tried from this address in the window without success.
    accounts_from_address: int = 0
    #: Codes sent to this person in the window.
    codes_sent: int = 0
    days_since_last: float = 0.0
    kilometres_an_hour: float = 0.0


def signals(seen: Seen) -> list[Signal]:
    """What is unusual about a sign-in, in the order of the enumeration."""
    later = seen.earlier_sessions > 0
    found = {
        Signal.NEW_AGENT: later and not seen.known_agent,
        Signal.NEW_NETWORK: later and not seen.known_network,
        Signal.FAILED_BEFORE: seen.failed_passwords >= 4,
        Signal.FACTOR_FATIGUE: seen.failed_factors >= 3,
        Signal.BUSY_ADDRESS: seen.tries_from_address >= 100,
        Signal.MANY_ACCOUNTS: seen.accounts_from_address >= MANY_ACCOUNTS,
        Signal.CODE_BURST: seen.codes_sent >= CODE_BURST,
        Signal.DORMANT: seen.days_since_last >= 60,
        Signal.IMPOSSIBLE_TRAVEL: seen.kilometres_an_hour >= 1_000,
    }
    return [signal for signal, here in found.items() if here]


def score(found: list[Signal]) -> int:
    """The sum of their weights."""
    return sum(_WEIGHT[signal] for signal in found)
