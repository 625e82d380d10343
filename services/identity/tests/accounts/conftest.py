"""Accounts with the whole of their life to look at."""

import pytest

from services.identity.tests.conftest import Identity
from services.identity.tests.lifecycle.conftest import Lives


@pytest.fixture
def lives(identity: Identity) -> Lives:
    return Lives(identity)
