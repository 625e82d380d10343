"""One stack for all tests here; they run in one worker, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import flow
from tests.e2e.stack import Stack, running


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder together, so that a run of many workers starts one stack."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("e2e"))
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running stack with nothing in it."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def story(stack: Stack) -> Iterator[flow.Story]:
    """The main job, done once from beginning to end."""
    with flow.told(stack.gateway, stack.addresses["providers"], *flow.STEPS) as told:
        yield told


@pytest.fixture(scope="session")
def stranger(stack: Stack) -> Iterator[flow.Story]:
    """The owner of another organisation, signed in."""
    steps = (flow.sign_up, flow.confirm_email, flow.enrol_totp, flow.sign_in)
    with flow.told(stack.gateway, stack.addresses["providers"], *steps) as told:
        yield told
