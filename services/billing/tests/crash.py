"""A starter in a process of its own, to be killed while Stripe's answer is on its way.

`python -m services.billing.tests.crash URL STRIPE_URL`: the database's URL with its password.
"""

import asyncio
import sys
from uuid import UUID

from pydantic import SecretStr

from lotpro_billing.clients.identity import Payer
from lotpro_billing.clients.stripe import StripeApi
from lotpro_billing.ports import Ports
from lotpro_billing.settings import Settings
from lotpro_billing.subscriptions.jobs import Starter
from lotpro_kit.clock import utc_now
from lotpro_kit.db import Database


class AnyPayer:
    """Identity, for which everybody exists."""

    async def payer(self, org_id: UUID, owner_id: UUID) -> Payer:
        return Payer(organisation_name=f"Dealer {org_id}", email=f"{owner_id}@example.com")


async def main(url: str, stripe_url: str) -> None:
    settings = Settings.model_construct(
        stripe_api_url=stripe_url, stripe_api_key=SecretStr("sk_test_lotpro"), stripe_price_lookup_key="lotpro_standard"
    )
    ports = Ports(AnyPayer(), StripeApi(settings), utc_now)
    await Starter(Database(url), ports, settings).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
