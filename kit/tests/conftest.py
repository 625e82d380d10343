"""The sample service, running on this test process's database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest

from kit.tests.sample import app
from lotpro_kit import service, testing


@dataclass
class Sample:
    """The sample with a signed-in salesperson of one store."""

    runtime: service.Runtime[app.Settings]
    parts: service.Parts
    signer: testing.Signer
    org_id: UUID
    store_id: UUID

    def client(self, *roles: str, org_id: UUID | None = None, store_id: UUID | None = None) -> httpx.AsyncClient:
        token = self.signer.user_token(
            user_id=uuid4(), org_id=org_id or self.org_id, roles={str(store_id or self.store_id): list(roles)}
        )
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    def anonymous(self) -> httpx.AsyncClient:
        return testing.client(app.SERVICE, self.runtime, self.parts)


@pytest.fixture
async def sample(postgres: testing.Postgres, signer: testing.Signer) -> AsyncIterator[Sample]:
    runtime = await testing.open_runtime(app.SERVICE, postgres, signer)
    yield Sample(runtime, app.wire(runtime), signer, uuid4(), uuid4())
    await runtime.close()
