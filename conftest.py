"""Every room's tests share the kit's fixtures."""

import os

# gRPC's C core tells standard error of every connection that a stopped peer closed; tests stop peers all the time.
# It reads this once, when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def pytest_collection_finish() -> None:
    """What was collected stays to the end: to go through it again and again takes a twentieth of the time."""
    from lotpro_kit import service

    service.calm_collector()


pytest_plugins = ["lotpro_kit.testing"]
