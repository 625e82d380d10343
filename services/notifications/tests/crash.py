"""A sender in a process of its own whose provider takes a message and never answers, to be killed in that moment.

`python -m services.notifications.tests.crash URL IDENTITY_TARGET`: the database's URL with its password.
"""

import asyncio
import sys
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from lotpro_kit.clock import utc_now
from lotpro_kit.db import Database
from lotpro_notifications.clients.identity import Code, Contact
from lotpro_notifications.clients.inventory import Sale
from lotpro_notifications.clients.mail import Letter
from lotpro_notifications.messages.jobs import Sender
from lotpro_notifications.ports import Ports


class Everybody:
    """Identity, for which every challenge has a code."""

    async def contacts(self, user_ids: Collection[UUID]) -> dict[UUID, Contact]:
        return {user_id: Contact("Jo", f"{user_id}@example.com", "") for user_id in user_ids}

    async def owners(self, org_id: UUID) -> list[UUID]:
        return []

    async def members(self, org_id: UUID) -> list[UUID]:
        return []

    async def reveal_code(self, challenge_id: UUID) -> Code:
        return Code(
            "123456", "sign_in", "email", f"{challenge_id}@example.com", utc_now() + timedelta(minutes=9), ""
        )


class AnySale:
    """Inventory, for which every sale exists."""

    async def sale(self, org_id: UUID, sale_id: UUID) -> Sale:
        return Sale("1HGCV1F34LA000001", "A-17", 2020, "Honda", "Accord", 100, "USD", utc_now())


class SilentProvider:
    """Takes an e-mail, says so on stdout, and never answers."""

    async def send(self, letter: Letter, *, message_id: UUID) -> str:
        print(f"taken {message_id}", flush=True)  # noqa: T201 - the parent waits for this line
        await asyncio.sleep(3600)
        return ""


class NoTexting:
    """No SMS here."""

    async def send(self, *, to: str, text: str) -> str:
        raise NotImplementedError


async def main(url: str) -> None:
    database = Database(url)
    ports = Ports(Everybody(), AnySale(), SilentProvider(), NoTexting(), utc_now, "http://localhost")
    await Sender(database, ports).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
