"""Chaos has a worker of its own beside the e2e tests'."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder together: each starts stacks, and two at once are enough for two cores."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("chaos"))
            item.add_marker(pytest.mark.timeout(600))
