"""Signing in against a slow oracle: strangers, owners, devices, locks and time, in every order Hypothesis finds."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Codes, Purpose
from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from services.identity.tests.conftest import PREFIX, Identity, Person, claims_of

Answer = TypeVar("Answer")
Key = tuple[str, ...]

WINDOW = timedelta(minutes=15)
TICKET = timedelta(minutes=5)
WRONG = "a-wrong-password-it-is"
#: Where strangers come from; nobody else does.
STRANGERS = [f"203.0.113.{number}" for number in range(1, 4)]
PEOPLE = (0, 1)


class Oracle:
    """What may be tried, by the plainest means: a list of moments for everything that is counted."""

    def __init__(self) -> None:
        self.counted: dict[Key, list[datetime]] = defaultdict(list)

    def keys(self, kind: str, who: str, ip: str, device: str = "") -> list[tuple[Key, int, bool]]:
        """What a try counts against, how often it may, and whether it is a pair: one who tries and whom."""
        if device:
            return [((kind, "device", device), 10, True)]
        return [((kind, "pair", who, ip), 10, True), ((kind, "account", who), 50, False), ((kind, ip), 600, False)]

    def present(self, key: Key, now: datetime, *, pair: bool) -> list[datetime]:
        """The tries that still count: of a pair all since the last quiet quarter of an hour, else a window's."""
        found: list[datetime] = []
        for moment in self.counted[key]:
            over = found and moment - (found[-1] if pair else found[0]) >= WINDOW
            found = [moment] if over else [*found, moment]
        over = bool(found) and now - (found[-1] if pair else found[0]) >= WINDOW
        return [] if over else found

    def allows(self, keys: list[tuple[Key, int, bool]], now: datetime) -> bool:
        for key, most, pair in keys:
            found = self.present(key, now, pair=pair)
            count = len(found) + 1
            if count > most:
                return False
            if pair and count > 5 and now < found[-1] + timedelta(seconds=2 ** (count - 6)):
                return False
        return True

    def take(self, keys: list[tuple[Key, int, bool]], now: datetime) -> bool:
        """Count a try if it may be made; answers whether."""
        if not self.allows(keys, now):
            return False
        for key, _, pair in keys:
            self.counted[key] = [*self.present(key, now, pair=pair), now]
        return True

    def forgive(self, keys: list[tuple[Key, int, bool]]) -> None:
        """One try succeeded: the pair starts anew, everywhere else it counts no more."""
        for key, _, pair in keys:
            self.counted[key] = [] if pair else self.counted[key][:-1]


@dataclass
class Ticket:
    """Proof of a password, and what must still be so for it to be worth anything."""

    text: str
    who: int
    made: datetime
    password: str


@dataclass
class World:
    """The service under test, and the people in it; outlives the examples."""

    identity: Identity
    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient
    people: list[Person]
    used_steps: dict[int, int] = field(default_factory=dict)
    passwords: int = 0

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Hypothesis lives in a thread of its own; the service on the test's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def now(self) -> datetime:
        return self.identity.clock()

    def post(self, path: str, *requests: tuple[str, dict[str, Any]]) -> list[httpx.Response]:
        """Requests from addresses, all at the same time."""
        async def one(ip: str, body: dict[str, Any]) -> httpx.Response:
            return await self.client.post(PREFIX + path, json=body, headers={"x-forwarded-for": ip})

        async def every() -> list[httpx.Response]:
            return list(await asyncio.gather(*(one(ip, body) for ip, body in requests)))

        return self.run(every())

    async def token(self, person: Person, purpose: Purpose, *, ask: bool) -> str:
        """What notifications would mail: of the newest challenge, or of a fresh one."""
        ports_codes = Codes(lambda: self.identity.runtime.settings.code_key.get_secret_value())
        account_id = UUID(claims_of(person.access_token)["sub"])
        async with self.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
            if ask:
                await challenges.open_challenge(
                    session, purpose=purpose, account_id=account_id, org_id=None, now=self.now(), topic="new_device"
                )
            found = await session.execute(
                challenges.CHALLENGES.select()
                .where(challenges.CHALLENGES.c.account_id == account_id, challenges.CHALLENGES.c.purpose == purpose)
                .order_by(challenges.CHALLENGES.c.id.desc())
                .limit(1)
            )
            row = found.one()
            return ports_codes.token(row.id, row.salt)


def told(answer: httpx.Response) -> tuple[object, ...]:
    """All of an answer that could tell somebody something."""
    body = answer.json()
    body.pop("trace_id", None)
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, body, headers


class Guessing(RuleBasedStateMachine):
    """People who sign in, and strangers who try to."""

    world: World
    tickets: Bundle[Ticket] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle()
        self.locked: set[int] = set()
        self.devices: dict[int, str] = {}
        #: Every wrong guess that was judged: kind, whom it was for, from where (or on which device), when.
        self.judged: dict[Key, list[datetime]] = defaultdict(list)
        self.swarmed = 0
        self.spare = 0

    @initialize()
    def fresh(self) -> None:
        # What another example tried is long ago.
        self.world.identity.clock.advance(timedelta(hours=2))

    # -- strangers ------------------------------------------------------------------------------------------------

    @rule(who=st.sampled_from(PEOPLE), ip=st.sampled_from(STRANGERS), times=st.integers(1, 7))
    def strangers_guess_a_password(self, who: int, ip: str, times: int) -> None:
        """And the same of nobody: nobody can tell the two apart."""
        person, now = self.world.people[who], self.world.now()
        ghost = f"ghost-{person.email}"
        expected, unknown = (
            [self.oracle.take(self.oracle.keys("password", email, ip), now) for _ in range(times)]
            for email in (person.email, ghost)
        )
        for email, allowed in ((person.email, expected), (ghost, unknown)):
            answers = self.world.post("/sessions", *[(ip, {"email": email, "password": WRONG})] * times)
            self._judge("password", email, ip, answers, allowed)
            texts = sorted(str(told(answer)) for answer in answers)
            if email == person.email:
                known = texts
            elif expected == unknown:
                assert texts == known

    @rule(who=st.sampled_from(PEOPLE), known=st.booleans())
    @precondition(lambda self: self.swarmed < 1)
    def a_swarm_guesses_a_password(self, who: int, known: bool) -> None:
        """From more addresses than the account has tries."""
        self.swarmed += 1
        email = self.world.people[who].email if known else f"swarmed-{uuid4().hex}@prairie-motors.com"
        self._swarm("password", email, {"email": email, "password": WRONG})

    @rule(target=tickets, who=st.sampled_from(PEOPLE), ip=st.sampled_from(STRANGERS))
    def a_stranger_knows_the_password(self, who: int, ip: str) -> object:
        person, now = self.world.people[who], self.world.now()
        allowed = self.oracle.take(self.oracle.keys("password", person.email, ip), now)
        [answer] = self.world.post("/sessions", (ip, {"email": person.email, "password": person.password}))
        if not allowed:
            assert answer.status_code == 429
        elif who in self.locked:
            assert answer.status_code == 401
            self.judged["password", person.email, ip].append(now)
        else:
            assert answer.json()["status"] == "factor_required"
            return Ticket(answer.json()["ticket"], who, now, person.password)
        return multiple()

    @rule(ticket=tickets, ip=st.sampled_from(STRANGERS), times=st.integers(1, 7))
    def strangers_guess_a_second_factor(self, ticket: Ticket, ip: str, times: int) -> None:
        now, account = self.world.now(), self._account(ticket.who)
        good = self._is_good(ticket)
        allowed = [good and self.oracle.take(self.oracle.keys("factor", account, ip), now) for _ in range(times)]
        body = {"ticket": ticket.text, "totp": self._wrong_code(ticket.who)}
        answers = self.world.post("/sessions", *[(ip, body)] * times)
        if good:
            self._judge("factor", account, ip, answers, allowed)
        else:
            assert {answer.status_code for answer in answers} == {401}

    @rule(ticket=consumes(tickets))
    @precondition(lambda self: self.swarmed < 2)
    def a_swarm_guesses_a_second_factor(self, ticket: Ticket) -> None:
        if self._is_good(ticket):
            self.swarmed += 1
            body = {"ticket": ticket.text, "totp": self._wrong_code(ticket.who)}
            self._swarm("factor", self._account(ticket.who), body)

    @rule(ticket=tickets, ip=st.sampled_from(STRANGERS))
    def a_stranger_replays_a_code(self, ticket: Ticket, ip: str) -> None:
        """The step that was accepted last, or an older one."""
        step = self.world.used_steps.get(ticket.who)
        if step is None:
            return
        now, account, good = self.world.now(), self._account(ticket.who), self._is_good(ticket)
        allowed = good and self.oracle.take(self.oracle.keys("factor", account, ip), now)
        [answer] = self.world.post("/sessions", (ip, {"ticket": ticket.text, "totp": self._code(ticket.who, step)}))
        if good:
            self._judge("factor", account, ip, [answer], [allowed])
        else:
            assert answer.status_code == 401

    @rule(ticket=tickets, ip=st.sampled_from(STRANGERS))
    def the_right_code_opens_nothing_for_a_ticket_that_is_over(self, ticket: Ticket, ip: str) -> None:
        """Its password was changed, its account locked, or its five minutes are over."""
        if not self._is_good(ticket):
            self._fresh_step(ticket.who)
            code = self._code(ticket.who, self._step())
            [answer] = self.world.post("/sessions", (ip, {"ticket": ticket.text, "totp": code}))
            assert (answer.status_code, answer.json()["code"]) == (401, "identity.credentials_invalid")

    # -- owners ---------------------------------------------------------------------------------------------------

    @rule(
        who=st.sampled_from(PEOPLE), ip=st.sampled_from([*STRANGERS, "198.51.100.7"]),
        late=st.booleans(), trust=st.booleans(), two_steps=st.booleans(),
    )
    def an_owner_signs_in(self, who: int, ip: str, late: bool, trust: bool, two_steps: bool) -> None:
        """With the code of this moment or of the one before; from the strangers' addresses too."""
        person = self.world.people[who]
        step = self._step() - int(late)
        passwords = self.oracle.keys("password", person.email, ip)
        factors = self.oracle.keys("factor", self._account(who), ip)
        now, factor = self.world.now(), {"totp": self._code(who, step), "trust_device": trust}
        first: dict[str, Any] = {"email": person.email, "password": person.password}
        may_password = self.oracle.take(passwords, now)
        [answer] = self.world.post("/sessions", (ip, first if two_steps else first | factor))
        if not may_password:
            assert answer.status_code == 429
            return
        if who in self.locked:
            assert answer.status_code == 401
            self.judged["password", person.email, ip].append(now)
            return
        may_factor = self.oracle.take(factors, now)
        if two_steps:
            [answer] = self.world.post("/sessions", (ip, {"ticket": answer.json()["ticket"], **factor}))
        if not may_factor:
            assert answer.status_code == 429
        elif step <= self.world.used_steps.get(who, 0):
            assert answer.status_code == 401, "a code works once"
            self.judged["factor", self._account(who), ip].append(now)
        else:
            assert answer.json()["status"] == "signed_in", answer.text
            self.world.used_steps[who] = step
            self._signed_in([*passwords, *factors])
            if trust:
                self.devices[who] = answer.json()["device_token"]

    @rule(who=st.sampled_from(PEOPLE), times=st.integers(2, 6))
    def an_owner_clicks_many_times(self, who: int, times: int) -> None:
        """One code, many requests at once: one session."""
        person, ip, now = self.world.people[who], self._spare_address(), self.world.now()
        self._fresh_step(who)
        step, now = self._step(), self.world.now()
        may = self.oracle.allows(self.oracle.keys("password", person.email, ip), now) and self.oracle.allows(
            self.oracle.keys("factor", self._account(who), ip), now
        )
        body = {"email": person.email, "password": person.password, "totp": self._code(who, step)}
        answers = self.world.post("/sessions", *[(ip, body)] * times)
        opened = Counter(answer.status_code for answer in answers)[200]
        assert opened == int(may and who not in self.locked)
        if opened:
            self.world.used_steps[who] = step
        # Who came before the one that was forgiven is a matter of luck; an hour later it does not matter.
        self.world.identity.clock.advance(timedelta(hours=1))

    @rule(who=st.sampled_from(PEOPLE), code=st.booleans())
    @precondition(lambda self: self.devices)
    def an_owner_on_a_known_device_gets_in(self, who: int, code: bool) -> None:
        """Whatever strangers did, from whatever address, as long as the owner has not mistyped there too often."""
        device = self.devices.get(who)
        if device is None:
            return
        self._fresh_step(who)
        person, now = self.world.people[who], self.world.now()
        passwords = self.oracle.keys("password", person.email, "", device)
        factors = self.oracle.keys("factor", self._account(who), "", device)
        if not self.oracle.take(passwords, now):
            return
        assert self.oracle.take(factors, now)
        ip, step = STRANGERS[0], self._step()
        first = {"email": person.email, "password": person.password, "device_token": device}
        if code:
            first["totp"] = self._code(who, step)
            self.world.used_steps[who] = step
        [answer] = self.world.post("/sessions", (ip, first))
        if answer.json().get("status") == "factor_required":
            body = {"ticket": answer.json()["ticket"], "totp": self._code(who, step)}
            [answer] = self.world.post("/sessions", (ip, body))
            self.world.used_steps[who] = step
        assert answer.json().get("status") == "signed_in", answer.text
        self._signed_in([*passwords, *factors])

    @rule(who=st.sampled_from(PEOPLE), times=st.integers(1, 7))
    @precondition(lambda self: self.devices)
    def an_owner_mistypes_on_a_known_device(self, who: int, times: int) -> None:
        device = self.devices.get(who)
        if device is None:
            return
        now, ip = self.world.now(), STRANGERS[1]
        keys = self.oracle.keys("password", self.world.people[who].email, ip, device)
        allowed = [self.oracle.take(keys, now) for _ in range(times)]
        body = {"email": self.world.people[who].email, "password": WRONG, "device_token": device}
        self._judge("password", device, "", self.world.post("/sessions", *[(ip, body)] * times), allowed)

    # -- the world ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1, 4, 16, 30, 60, 299, 300, 840, 899, 899.5, 900, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.world.identity.clock.advance(timedelta(seconds=seconds))

    @rule(who=st.sampled_from(PEOPLE))
    def an_owner_sets_a_new_password_by_mail(self, who: int) -> None:
        """Which unlocks, ends all trust, and every ticket of the old password."""
        self._recover(who)

    @rule(who=st.sampled_from(PEOPLE))
    @precondition(lambda self: not self.locked)
    def an_owner_says_this_was_not_me(self, who: int) -> None:
        person = self.world.people[who]
        token = self.world.run(self.world.token(person, Purpose.ALERT, ask=True))
        [answer] = self.world.post("/accounts:not-me", (self._spare_address(), {"token": token}))
        assert answer.status_code == 204
        self.locked.add(who)
        self.devices.pop(who, None)

    @invariant()
    def nobody_ever_judged_more_than_ten_guesses_of_a_pair_in_any_quarter_of_an_hour(self) -> None:
        for key, moments in self.judged.items():
            for begun in moments:
                inside = sum(begun <= moment < begun + WINDOW for moment in moments)
                assert inside <= 10, key

    def teardown(self) -> None:
        for who in self.locked.copy():
            self._recover(who)

    def _recover(self, who: int) -> None:
        person, ip = self.world.people[who], self._spare_address()
        self.world.passwords += 1
        fresh = f"quiet-lot-number-{self.world.passwords}-at-dawn"
        [asked] = self.world.post("/passwords:request-reset", (ip, {"email": person.email}))
        assert asked.status_code == 202
        token = self.world.run(self.world.token(person, Purpose.RESET_PASSWORD, ask=False))
        [done] = self.world.post("/passwords:reset", (ip, {"token": token, "password": fresh}))
        assert done.status_code == 204, done.text
        person.password = fresh
        self.locked.discard(who)
        self.devices.pop(who, None)

    def _swarm(self, kind: str, who: str, body: dict[str, Any]) -> None:
        """Each from an address of its own: only the account's own limit is left."""
        now, addresses = self.world.now(), [self._spare_address() for _ in range(54)]
        allowed = [self.oracle.take(self.oracle.keys(kind, who, ip), now) for ip in addresses]
        statuses = Counter(a.status_code for a in self.world.post("/sessions", *((ip, body) for ip in addresses)))
        assert statuses == Counter(401 if one else 429 for one in allowed)

    def _judge(self, kind: str, who: str, ip: str, answers: list[httpx.Response], allowed: list[bool]) -> None:
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == Counter(401 if one else 429 for one in allowed)
        self.judged[kind, who, ip] += [self.world.now()] * statuses[401]

    def _signed_in(self, keys: list[tuple[Key, int, bool]]) -> None:
        self.oracle.forgive(keys)
        for (kind, sort, *rest), _, _ in keys:
            if sort in ("pair", "device"):
                self.judged.pop((kind, *rest) if sort == "pair" else (kind, *rest, ""), None)

    def _is_good(self, ticket: Ticket) -> bool:
        fresh = self.world.now() < ticket.made + TICKET
        return fresh and ticket.who not in self.locked and self.world.people[ticket.who].password == ticket.password

    def _account(self, who: int) -> str:
        return str(claims_of(self.world.people[who].access_token)["sub"])

    def _step(self) -> int:
        return int(self.world.now().timestamp()) // 30

    def _code(self, who: int, step: int) -> str:
        return pyotp.TOTP(self.world.people[who].secret).at(step * 30)

    def _wrong_code(self, who: int) -> str:
        right = {self._code(who, self._step() - late) for late in (0, 1)}
        return next(code for code in ("000000", "000001", "000002") if code not in right)

    def _fresh_step(self, who: int) -> None:
        """A person waits until the app shows a code that was not used yet."""
        while self._step() <= self.world.used_steps.get(who, 0):
            self.world.identity.clock.advance(timedelta(seconds=30))

    def _spare_address(self) -> str:
        self.spare += 1
        return f"10.{self.spare // 65536}.{self.spare // 256 % 256}.{self.spare % 256}"


@pytest.fixture
async def world(identity: Identity) -> AsyncIterator[World]:
    people = [await identity.owner() for _ in PEOPLE]
    # Enrolling used the code of that moment.
    used = {who: int(identity.clock().timestamp()) // 30 for who in PEOPLE}
    async with identity.client() as client:
        yield World(identity, asyncio.get_running_loop(), client, people, used)


@pytest.mark.timeout(300)  # given up, it would go on in its thread and move the clock of the tests that come after
async def test_strangers_never_guess_more_than_they_may_and_owners_on_known_devices_get_in(world: World) -> None:
    machine = type("GuessingHere", (Guessing,), {"world": world})
    thrifty = settings(
        max_examples=10, stateful_step_count=18, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=thrifty)


#: What was found once, or must never be left to luck.
STORIES: dict[str, Callable[[Guessing], object]] = {}


def story(play: Callable[[Guessing], object]) -> Callable[[Guessing], object]:
    STORIES[play.__name__] = play
    return play


@story
def a_ticket_of_the_old_password_opens_nothing(people: Guessing) -> None:
    ticket = people.a_stranger_knows_the_password(who=0, ip=STRANGERS[0])
    people.an_owner_sets_a_new_password_by_mail(who=0)
    people.the_right_code_opens_nothing_for_a_ticket_that_is_over(ticket=ticket, ip=STRANGERS[0])


@story
def a_ticket_of_a_locked_account_opens_nothing(people: Guessing) -> None:
    ticket = people.a_stranger_knows_the_password(who=0, ip=STRANGERS[0])
    people.an_owner_says_this_was_not_me(who=0)
    people.the_right_code_opens_nothing_for_a_ticket_that_is_over(ticket=ticket, ip=STRANGERS[0])
    people.a_stranger_knows_the_password(who=0, ip=STRANGERS[0])


@story
def strangers_who_know_the_password_cannot_lock_the_owner_out_of_a_known_device(people: Guessing) -> None:
    people.time_passes(30)
    people.an_owner_signs_in(who=0, ip="198.51.100.7", late=False, trust=True, two_steps=False)
    ticket = people.a_stranger_knows_the_password(who=0, ip=STRANGERS[0])
    people.a_swarm_guesses_a_second_factor(ticket=ticket)
    people.a_swarm_guesses_a_password(who=0, known=True)
    people.an_owner_on_a_known_device_gets_in(who=0, code=False)


@story
def an_owner_signs_in_on_a_known_device_as_often_as_they_like(people: Guessing) -> None:
    people.time_passes(30)
    people.an_owner_signs_in(who=0, ip="198.51.100.7", late=False, trust=True, two_steps=False)
    people.a_swarm_guesses_a_password(who=0, known=True)
    for _ in range(8):
        people.an_owner_on_a_known_device_gets_in(who=0, code=False)
        people.an_owner_on_a_known_device_gets_in(who=0, code=True)


@story
def a_stranger_who_waits_for_the_window_to_end_gets_no_second_ten(people: Guessing) -> None:
    people.strangers_guess_a_password(who=0, ip=STRANGERS[0], times=1)
    people.time_passes(840)
    people.strangers_guess_a_password(who=0, ip=STRANGERS[0], times=4)
    for wait in (1, 4, 4, 16, 16):
        people.time_passes(wait)
        people.strangers_guess_a_password(who=0, ip=STRANGERS[0], times=2)
    for wait in (30, 300, 299, 300):
        people.time_passes(wait)
        people.strangers_guess_a_password(who=0, ip=STRANGERS[0], times=6)
        people.nobody_ever_judged_more_than_ten_guesses_of_a_pair_in_any_quarter_of_an_hour()


@story
def a_code_opens_one_session_and_never_another(people: Guessing) -> None:
    people.an_owner_clicks_many_times(who=0, times=6)
    people.an_owner_signs_in(who=0, ip=STRANGERS[0], late=False, trust=False, two_steps=True)
    ticket = people.a_stranger_knows_the_password(who=0, ip=STRANGERS[0])
    people.a_stranger_replays_a_code(ticket=ticket, ip=STRANGERS[0])
    people.an_owner_signs_in(who=0, ip=STRANGERS[0], late=True, trust=False, two_steps=True)


@pytest.mark.parametrize("name", STORIES)
async def test_this_story_ends_well(world: World, name: str) -> None:
    def play() -> None:
        people = type("GuessingHere", (Guessing,), {"world": world})()
        people.fresh()
        STORIES[name](people)
        people.teardown()

    await asyncio.to_thread(play)
