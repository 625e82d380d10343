"""Every room's tests share the kit's fixtures."""

import gc
import os

# gRPC's C core tells standard error of every connection that a stopped peer closed; tests stop peers all the time.
# It reads this once, when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# What a run imported and collected stays to its end: to go through it again and again takes a twentieth of the time.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """Nothing that was collected is garbage."""
    gc.collect()
    gc.freeze()


pytest_plugins = ["lotpro_kit.testing"]
