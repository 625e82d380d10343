"""`make seed`: fills the demo organisation through the gateway, as its own people would; may be repeated."""

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from lotpro_localcloud import surroundings
from lotpro_localcloud.client import INVENTORY, Gateway, Inbox, Json, Person, Refused, code_in, invitation_in
from lotpro_localcloud.state import State, read_json, write_json

ORGANISATION = "Prairie Motor Group"
STORES = (("Prairie Motors Lincoln", "America/Chicago"), ("Prairie Motors Denver", "America/Denver"))
#: role, name, address, password, phone. The addresses' domain is reserved for examples (RFC 2606).
PEOPLE = (
    ("org_owner", "Dana Whitfield", "dana@prairie.example.com", "seven-quiet-lots-at-dawn", "+14025550142"),
    ("manager", "Luis Ortega", "luis@prairie.example.com", "nine-front-line-sedans", ""),
    ("sales", "Sam Keller", "sam@prairie.example.com", "twelve-long-test-drives", ""),
)
CUSTOMERS = (
    "Robin Hale", "Priya Raman", "Marcus Bell", "Elena Petrova", "Jonas Lind", "Aisha Grant", "Tom Okafor",
    "Mei Tanaka", "Carla Mendes", "Owen Fraser", "Ruth Abel", "Viktor Sand",
)
MAIL_SECONDS = 30
#: Requests at once: enough to keep two cores busy.
AT_ONCE = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is not done yet and write down who can sign in (seed.json of the state)."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud seed")
    parser.add_argument("--state", type=Path, default=surroundings.root() / ".lotpro")
    parser.add_argument("--gateway", default="http://localhost:8080")
    parser.add_argument("--inbox", default="http://localhost:8310")
    options = parser.parse_args(argv)
    try:
        Planting(State(options.state) / "seed.json", options.gateway, Inbox(options.inbox)).run()
    except (Refused, AssertionError) as error:
        sys.stderr.write(f"The demo organisation could not be filled: {error}\n")
        return 1
    return 0


class Planting:
    """One run; what is done is written down at once, so that the next run goes on from there."""

    def __init__(self, file: Path, gateway: str, inbox: Inbox) -> None:
        self._file, self._gateway, self._inbox = file, gateway, inbox
        self._known: dict[str, Any] = {"organisation": ORGANISATION, "people": [], "done": []} | read_json(file)
        self._people: dict[str, Person] = {}

    def run(self) -> None:
        """All of it, in order."""
        self._join("org_owner", self._sign_up)
        owner = self._people["org_owner"]
        stores = owner.ask("GET", "/api/identity/v1/organisations/current")["stores"]
        if len(stores) < len(STORES):
            name, zone = STORES[1]
            stores.append(owner.ask("POST", "/api/identity/v1/stores", {"name": name, "time_zone": zone}, expect=201))
        first, second = (store["id"] for store in sorted(stores, key=lambda store: store["name"] != STORES[0][0]))
        for role in ("manager", "sales"):
            self._join(role, partial(self._invite, role, first))
        self._once("vehicles", lambda: self._fill_lot(first, second))
        self._once("sales", lambda: self._sell_some(first))
        self._known["complete"] = True
        write_json(self._file, self._known)

    def _once(self, name: str, work: Callable[[], None]) -> None:
        if name not in self._known["done"]:
            work()
            self._known["done"].append(name)
            write_json(self._file, self._known)

    def _join(self, role: str, enter: Callable[[Person], None]) -> None:
        """Have a person of this role signed in; `enter` gets somebody new as far as an enrolment token."""
        _, name, email, password, phone = next(person for person in PEOPLE if person[0] == role)
        person = Person(Gateway(self._gateway), name, email, password, phone)
        self._people[role] = person
        known = next((known for known in self._known["people"] if known["role"] == role), None)
        if known is None:
            known = {"role": role, "name": name, "email": email, "password": password, "totp_secret": ""}
            self._known["people"].append(known)
        person.totp_secret = known["totp_secret"]
        read = self._read(person)
        try:
            has_factor = person.sign_in()
        except Refused as refused:
            if refused.status != 401 or person.totp_secret:
                raise
            enter(person)
        else:
            if has_factor:
                return
            self._confirm(person, read=read)
        person.begin_totp()
        known["totp_secret"] = person.totp_secret
        write_json(self._file, self._known)
        person.confirm_totp()

    def _sign_up(self, person: Person) -> None:
        read = self._read(person)
        store, zone = STORES[0]
        person.sign_up(organisation=ORGANISATION, store=store, time_zone=zone)
        self._confirm(person, read=read)

    def _read(self, person: Person) -> set[str]:
        """The mails that have come until now; a code in one of them is not the next one."""
        return {mail.id for mail in self._inbox.messages(person.email)}

    def _confirm(self, person: Person, *, read: set[str]) -> None:
        mail = self._inbox.wait_for(person.email, containing="confirm", within=MAIL_SECONDS, besides=read)
        person.confirm_email(code_in(mail))

    def _invite(self, role: str, store_id: str, person: Person) -> None:
        body = {"email": person.email, "role": role, "store_id": store_id}
        self._people["org_owner"].ask("POST", "/api/identity/v1/invitations", body, expect=201)
        mail = self._inbox.wait_for(person.email, containing="#token=", within=MAIL_SECONDS)
        person.accept_invitation(invitation_in(mail))

    def _fill_lot(self, first: str, second: str) -> None:
        """Three of five vehicles stand in the first store."""
        stock: list[Json] = json.loads((Path(__file__).parent / "vehicles.json").read_text(encoding="utf-8"))
        owner = self._people["org_owner"]

        def add(numbered: tuple[int, Json]) -> None:
            number, entry = numbered
            body = {name: value for name, value in entry.items() if name not in ("then", "decodes_to")}
            body["store_id"] = first if number % 5 < 3 else second
            vehicle = owner.ask(
                "POST", f"{INVENTORY}/vehicles", body, expect=201, headers=_key("vehicle", entry["stock_number"])
            )
            if entry["then"]:
                owner.ask(
                    "PATCH", f"{INVENTORY}/vehicles/{vehicle['id']}", {"state": entry["then"]},
                    headers={"if-match": f'"v{vehicle["version"]}"'},
                )

        self._all(add, enumerate(stock))

    def _sell_some(self, store_id: str) -> None:
        """The salesperson's month: a dozen sales, the first of them to be handed over in three days."""
        seller = self._people["sales"]
        asked = f"{INVENTORY}/vehicles?state=frontline&store_id={store_id}&limit={len(CUSTOMERS)}"
        on_the_lot = seller.ask("GET", asked)["items"]

        def sell(pair: tuple[str, Json]) -> Json:
            name, vehicle = pair
            address = f"{name.lower().replace(' ', '.')}@example.net"
            customer = {"name": name, "email": address, "phone": _phone_of(name)}
            return seller.ask(
                "POST", f"{INVENTORY}/vehicles/{vehicle['id']}:sell", {"customer": customer, "price": vehicle["price"]},
                expect=201, headers={"if-match": f'"v{vehicle["version"]}"', **_key("sale", vehicle["id"])},
            )

        sales = self._all(sell, zip(CUSTOMERS, on_the_lot, strict=False))
        day = (datetime.now().astimezone() + timedelta(days=3)).date()
        body = {"vehicle_id": sales[0]["vehicle_id"], "starts_at": f"{day}T16:30:00"}
        seller.ask("POST", f"{INVENTORY}/deliveries", body, expect=201, headers=_key("delivery", sales[0]["id"]))

    def _all(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(work, items))


def _key(kind: str, name: str) -> dict[str, str]:
    """The same Idempotency-Key for the same act in every run."""
    return {"idempotency-key": str(uuid.uuid5(uuid.NAMESPACE_URL, f"lotpro:seed:{kind}:{name}"))}


def _phone_of(name: str) -> str:
    """A number of the range that is kept free for fiction (555-0100 to 555-0199)."""
    return f"+1402555{100 + CUSTOMERS.index(name):04}"
