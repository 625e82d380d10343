"""The database is what the models and the data manifest say."""

import lotpro_policy
from lotpro_billing.db import METADATA, ROOM
from lotpro_kit import migrations, testing
from services.billing.tests.conftest import Billing


async def test_the_migrations_make_what_the_models_say(billing: Billing, postgres: testing.Postgres) -> None:
    url = postgres.url("billing_owner", testing.OWNER_PASSWORD, "billing")
    assert await migrations.drift(url, METADATA) == []


def test_every_column_is_declared() -> None:
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    tables = {table.name: [column.name for column in table.columns] for table in METADATA.sorted_tables}
    assert lotpro_policy.undeclared(manifest, tables) == []
