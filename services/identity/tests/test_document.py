"""What the OpenAPI document says is so: every operation, asked by a stranger and by an owner, with whatever fits it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lotpro_identity import app
from lotpro_kit import service, testing
from services.identity.tests.conftest import PREFIX, Identity

#: Requests an operation and a caller.
EXAMPLES = 6
CHECKS = [
    checks.not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance
]


@asynccontextmanager
async def served(identity: Identity) -> AsyncIterator[str]:
    """The service on a free port, on the test's own loop."""
    application = service.create_app(app.SERVICE, identity.runtime, identity.parts)
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server._serve())  # `serve` would take over pytest's signals

    async def started() -> bool:
        return server.started

    await testing.eventually(started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


def ask(document: BaseSchema, method: str, path: str, url: str, tokens: Sequence[str], mode: GenerationMode) -> None:
    """Send what fits an operation, and what does not, once without and once with each token; judge the answers."""
    operation = document[path][method]

    @seed(180)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def every_answer_is_as_described(case: schemathesis.Case) -> None:
        # To think of a request takes longer than to answer it: both callers send the same ones.
        for token in tokens:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = case.call(base_url=url, headers=headers, timeout=60)
            case.validate_response(answer, checks=CHECKS)

    every_answer_is_as_described()


@pytest.mark.timeout(300)  # a quarter of a minute of work, on a machine that has time for it
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
async def test_every_answer_of_every_operation_is_as_described(identity: Identity, mode: GenerationMode) -> None:
    """To a stranger and to an owner."""
    described: dict[str, Any] = service.openapi(app.SERVICE)
    document = schemathesis.openapi.from_dict(described)
    wrong: list[str] = []
    token = ""
    async with served(identity) as url:
        for path, operations in described["paths"].items():
            for method in operations:
                if (await identity.get("/sessions/current", token=token)).status_code != 200:
                    # The operation before has ended the session, or the account.
                    token = (await identity.owner()).access_token
                try:
                    await asyncio.to_thread(ask, document, method.upper(), path, url, ("", token), mode)
                except Unsatisfiable:
                    assert mode is GenerationMode.NEGATIVE, "it takes nothing, so nothing is wrong with it"
                except (Exception, BaseExceptionGroup) as error:
                    found = getattr(error, "exceptions", [error])
                    wrong += [f"{method} {path.removeprefix(PREFIX)}: {one}\n{error}" for one in found]
    assert not wrong, "\n\n".join(wrong)
