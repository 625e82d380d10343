"""A stack of the benchmark's own: started on free ports in a throw-away state, with a person who uses it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil

from lotpro_localcloud.client import Gateway, Inbox, Person, code_in
from tests.e2e import stack as e2e

#: A valid VIN (check digit 3): a 2003 Honda Accord.
VIN = "1HGCM82633A004352"
#: The services' own default.
PRODUCTION_TRACE_RATIO = 0.1
#: How long it is waited for events to be handled.
HANDLED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Owner:
    """A signed-in owner of an organisation with one store."""

    person: Person
    store_id: str

    @property
    def access_token(self) -> str:
        """A token that is good for the next minutes."""
        return self.person.gateway.token

    async def add_vehicle(self) -> str:
        """Take a vehicle into stock; answers its id."""
        body = {"store_id": self.store_id, "vin": VIN}
        added = await asyncio.to_thread(
            self.person.ask, "POST", "/api/inventory/v1/vehicles", body, expect=201
        )
        return str(added["id"])


@dataclass(frozen=True, slots=True)
class Stack:
    """The running stack."""

    running: e2e.Stack

    @property
    def gateway(self) -> str:
        """The gateway's address, by number: a name would be looked up for each connection."""
        return f"http://127.0.0.1:{self.running.ports['gateway']}"

    @property
    def inventory(self) -> str:
        """Inventory without the gateway."""
        return f"http://127.0.0.1:{self.running.ports['inventory_http']}"

    @property
    def process(self) -> psutil.Process:
        """The supervisor, whose children are all other processes."""
        return psutil.Process(self.running.pids["supervisor"])

    def name_of(self, process: psutil.Process) -> str:
        """What a process of the stack is."""
        names = {pid: name for name, pid in self.running.pids.items()}
        return names.get(process.pid, names.get(process.ppid(), "?"))

    async def connect(self, service: str) -> asyncpg.Connection:
        """A service's database, as the superuser."""
        password = (self.running.state / "pg" / "superuser-password").read_text()
        return await asyncpg.connect(
            host="127.0.0.1", port=self.running.ports["postgres"], user="lotpro_admin", password=password,
            database=service,
        )

    async def signed_up_owner(self) -> Owner:
        """Somebody who went all the way from sign-up to a session with a second factor."""
        return await asyncio.to_thread(self._sign_up)

    def _sign_up(self) -> Owner:
        mark = uuid4().hex[:8]
        person = Person(
            Gateway(self.running.gateway), name="Dana Whitfield", email=f"bench-{mark}@prairie-motors.com",
            password=f"seven-quiet-lots-{mark}",
        )
        person.sign_up(organisation="Prairie Motor Group", store="Lincoln", time_zone="America/Chicago")
        inbox = Inbox(self.running.addresses["providers"])
        person.confirm_email(code_in(inbox.wait_for(person.email, containing="confirm", within=20)))
        person.begin_totp()
        person.confirm_totp()
        current = person.ask("GET", "/api/identity/v1/organisations/current")
        return Owner(person, str(current["stores"][0]["id"]))


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Start a stack, use it, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        running = await asyncio.to_thread(e2e.start, Path(folder) / "state", trace_ratio=PRODUCTION_TRACE_RATIO)
        try:
            yield Stack(running)
        finally:
            await asyncio.to_thread(running.stop)


async def handled_at(audit: asyncpg.Connection, wanted: Set[UUID]) -> dict[UUID, float]:
    """When audit's transaction that handled each event was committed, in seconds since 1970; of those that were."""
    deadline = time.monotonic() + HANDLED_SECONDS
    while True:
        rows = await audit.fetch(
            "SELECT event_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at"
            " FROM claims WHERE event_id = ANY($1)",
            list(wanted),
        )
        if len(rows) == len(wanted) or time.monotonic() > deadline:
            return {row["event_id"]: row["at"] for row in rows}
        await asyncio.sleep(0.2)
