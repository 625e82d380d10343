"""The main job, as the people who do it: through the gateway, and the inbox for their mail; one function a step."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from lotpro_localcloud.client import Gateway, Inbox, Json, Person, code_in, invitation_in

#: From the act to its last effect in another service; the suite's own bar is 250 ms an event.
PATIENCE_SECONDS = 15
T = TypeVar("T")
#: A real make and model, by its check digit and NHTSA's tables: a 2003 Honda Accord.
VIN = "1HGCM82633A004352"


@dataclass(slots=True)
class Customer:
    """Somebody who buys a car; without an account."""

    name: str
    email: str
    phone: str


@dataclass(slots=True)
class Story:
    """Who takes part, and what is known so far."""

    organisation: str
    store: str
    owner: Person
    seller: Person
    customer: Customer
    inbox: Inbox
    ids: dict[str, str] = field(default_factory=dict)
    #: One-time codes and tokens that came by mail; nobody else may ever see them.
    codes: list[str] = field(default_factory=list)
    vehicle_version: str = ""
    #: Seconds to wait for an effect in another service.
    patience: float = PATIENCE_SECONDS

    def move(self, gateway: str, inbox: str) -> None:
        """Go on at other addresses: a stack that was started again listens on other ports."""
        for end, url in ((self.owner.gateway, gateway), (self.seller.gateway, gateway), (self.inbox, inbox)):
            end.move(url)

    def close(self) -> None:
        """Hang up."""
        for end in (self.owner.gateway, self.seller.gateway, self.inbox):
            end.close()

    def personal_words(self) -> list[str]:
        """What no event, log or span may contain: names, addresses, phones and codes of these people."""
        people = (self.owner, self.seller, self.customer)
        words = [word for person in people for word in (person.name, person.email, person.phone) if word]
        words += [person.phone.removeprefix("+1") for person in people if person.phone]
        words += [part for person in people for part in person.name.split()]
        return [*words, *self.codes, self.owner.password, self.seller.password]


Step = Callable[[Story], Sequence[str]]


def begin(gateway: str, inbox: str) -> Story:
    """People and a company that nobody has signed up before: each run is another one."""
    # Letters only, so that the name is a name: hexadecimal digits as g-v.
    mark = "".join(chr(ord("g") + int(digit, 16)) for digit in uuid4().hex[:8])
    number = int(uuid4().hex[:8], 16) % 100
    return Story(
        organisation=f"Prairie {mark.capitalize()} Motors",
        store=f"{mark.capitalize()} Lincoln",
        owner=Person(
            Gateway(gateway), f"Dana {mark.capitalize()}owner", f"dana.{mark}@example.com",
            f"{mark}-quiet-lots-at-dawn", f"+1402555{100 + number:04}",
        ),
        seller=Person(
            Gateway(gateway), f"Sam {mark.capitalize()}seller", f"sam.{mark}@example.com",
            f"{mark}-seven-long-test-drives", "",
        ),
        customer=Customer(f"Robin {mark.capitalize()}buyer", f"robin.{mark}@example.net", f"+1303555{100 + number:04}"),
        inbox=Inbox(inbox),
    )


@contextmanager
def told(gateway: str, inbox: str, *steps: Step) -> Iterator[Story]:
    """A story whose steps are done."""
    story = begin(gateway, inbox)
    try:
        for step in steps:
            step(story)
        yield story
    finally:
        story.close()


def sign_up(story: Story) -> Sequence[str]:
    """The owner signs up the organisation and its first store."""
    story.owner.sign_up(organisation=story.organisation, store=story.store, time_zone="America/Chicago")
    return [f"{story.organisation}, {story.store}"]


def confirm_email(story: Story) -> Sequence[str]:
    """The owner confirms the e-mail address with the code from the inbox."""
    mail = story.inbox.wait_for(story.owner.email, containing="confirm", within=story.patience)
    code = code_in(mail)
    story.codes.append(code)
    story.owner.confirm_email(code)
    return [f"the mail says “{mail.subject}”"]


def enrol_totp(story: Story) -> Sequence[str]:
    """The owner enrols an authenticator app (TOTP)."""
    story.owner.begin_totp()
    recovery_codes = story.owner.confirm_totp()
    story.codes += [story.owner.totp_secret, *recovery_codes]
    return [f"{len(recovery_codes)} recovery codes for the day the phone is lost"]


def sign_in(story: Story) -> Sequence[str]:
    """The owner signs in with password and TOTP."""
    assert story.owner.sign_in(), "an account with an authenticator must be asked for its code"
    organisation = story.owner.ask("GET", "/api/identity/v1/organisations/current")
    assert organisation["name"] == story.organisation, organisation
    (store,) = organisation["stores"]
    story.ids |= {"organisation_id": organisation["id"], "store_id": store["id"]}
    story.ids["owner_id"] = story.owner.ask("GET", "/api/identity/v1/accounts/me")["id"]
    return []


def add_vehicle(story: Story) -> Sequence[str]:
    """The owner takes a vehicle into stock by its VIN."""
    vehicle = story.owner.ask(
        "POST",
        "/api/inventory/v1/vehicles",
        {"store_id": story.ids["store_id"], "vin": VIN, "price": dollars(8_995), "cost": dollars(7_250)},
        expect=201,
    )
    decoded = (vehicle["year"], str(vehicle["make"]).lower(), str(vehicle["model"]).lower())
    assert decoded == (2003, "honda", "accord"), f"{VIN} was decoded to {decoded}"
    story.ids["vehicle_id"] = vehicle["id"]
    story.vehicle_version = f'"v{vehicle["version"]}"'
    return [f"{VIN} is a {vehicle['year']} {vehicle['make']} {vehicle['model']}"]


def invite_salesperson(story: Story) -> Sequence[str]:
    """The owner invites a salesperson to the store."""
    story.owner.ask(
        "POST",
        "/api/identity/v1/invitations",
        {"email": story.seller.email, "role": "sales", "store_id": story.ids["store_id"]},
        expect=201,
    )
    return []


def salesperson_joins(story: Story) -> Sequence[str]:
    """The salesperson accepts, enrols an authenticator app and signs in."""
    mail = story.inbox.wait_for(story.seller.email, containing="#token=", within=story.patience)
    token = invitation_in(mail)
    story.codes.append(token)
    story.seller.accept_invitation(token)
    story.seller.begin_totp()
    story.codes += [story.seller.totp_secret, *story.seller.confirm_totp()]
    assert story.seller.sign_in()
    vehicle = story.seller.ask("GET", f"/api/inventory/v1/vehicles/{story.ids['vehicle_id']}")
    assert vehicle.get("cost") is None, "a salesperson must not see what the vehicle cost"
    return ["sees the vehicle, and not what it cost"]


def sell_vehicle(story: Story) -> Sequence[str]:
    """The salesperson sells the vehicle to a customer."""
    customer = story.customer
    sale = story.seller.ask(
        "POST",
        f"/api/inventory/v1/vehicles/{story.ids['vehicle_id']}:sell",
        {
            "customer": {"name": customer.name, "email": customer.email, "phone": customer.phone},
            "price": dollars(8_750),
        },
        expect=201,
        headers={"if-match": story.vehicle_version},
    )
    story.ids |= {"sale_id": sale["id"], "customer_id": sale["customer_id"], "seller_id": sale["seller_id"]}
    return ["USD 8,750.00"]


def owner_is_told(story: Story) -> Sequence[str]:
    """The owner gets the e-mail “vehicle sold” and the SMS alert."""
    mail = story.inbox.wait_for(story.owner.email, containing="sold", within=story.patience)
    text = story.inbox.wait_for(story.owner.phone, containing="sold", within=story.patience)
    assert "Accord" in mail.text, mail.text
    for message in (mail, text):
        assert story.customer.name not in message.text, "the news of a sale must not name the customer"
    return [f"e-mail: {mail.subject}", f"SMS: {text.text}"]


def billing_shows_trial(story: Story) -> Sequence[str]:
    """Billing shows the organisation's trial subscription and what it entitles to."""
    subscription = eventually(
        lambda: story.owner.ask("GET", "/api/billing/v1/subscription"),
        lambda found: found["status"] == "trialing",
        within=story.patience,
    )
    return [f"{subscription['plan']}, {subscription['status']}"]


def audit_shows_all(story: Story) -> Sequence[str]:
    """Audit shows sign-up, MFA enrolment, sign-in and sale, with who, when and where."""
    wanted = {
        "identity:account:sign_up", "identity:factor:enrol", "identity:session:create", "inventory:vehicle:sell",
    }

    def events() -> list[Json]:
        found: list[Json] = story.owner.ask("GET", "/api/audit/v1/events?limit=200")["items"]
        return found

    seen = eventually(events, lambda found: wanted <= {event["action"] for event in found}, within=story.patience)
    (sale,) = [event for event in seen if event["action"] == "inventory:vehicle:sell"]
    assert sale["actor"] == {"kind": "user", "id": story.ids["seller_id"]}, sale
    assert sale["subject"] == {"kind": "vehicle", "id": story.ids["vehicle_id"]}, sale
    assert sale["ip"] == "127.0.0.1", sale
    return [f"{len(seen)} events"]


def customer_asks_for_data(story: Story) -> Sequence[str]:
    """A request “access” for the customer returns what the services hold."""
    opened = story.owner.ask(
        "POST",
        "/api/privacy/v1/requests",
        {"kind": "access", "subject": {"kind": "customer", "id": story.ids["customer_id"]}},
        expect=201,
    )
    story.ids["request_id"] = opened["id"]
    asked = f"/api/privacy/v1/requests/{opened['id']}"
    done = eventually(
        lambda: story.owner.ask("GET", asked), lambda found: found["state"] == "ready", within=story.patience
    )
    collected = story.owner.ask("GET", f"{asked}/answer")["services"]
    for word in (story.customer.name, story.customer.email, story.customer.phone):
        assert word in str(collected["inventory"]), f"{word} is missing in what inventory returned"
    missing = {"inventory", "identity", "notifications", "audit"} - collected.keys()
    assert not missing, f"nothing was returned by {missing}"
    counts = [(name, sum(len(rows) for rows in tables.values())) for name, tables in collected.items()]
    return [f"due on {done['due_on']}; records: " + ", ".join(f"{name} {count}" for name, count in sorted(counts))]



STEPS: tuple[Step, ...] = (
    sign_up,
    confirm_email,
    enrol_totp,
    sign_in,
    add_vehicle,
    invite_salesperson,
    salesperson_joins,
    sell_vehicle,
    owner_is_told,
    billing_shows_trial,
    audit_shows_all,
    customer_asks_for_data,
)


def dollars(whole: int) -> Json:
    """An amount as the API takes it."""
    return {"amount": whole * 100, "currency": "USD"}


def eventually(ask: Callable[[], T], is_so: Callable[[T], bool], *, within: float) -> T:
    """Ask again until the answer is so; an AssertionError with the last answer when it never is."""
    deadline = time.monotonic() + within
    while True:
        found = ask()
        if is_so(found):
            return found
        assert time.monotonic() < deadline, f"not so within {within} s: {found}"
        time.sleep(0.1)

