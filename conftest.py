"""Every room's tests share the kit's fixtures."""

import gc
import os

# gRPC's C core tells standard error of every connection that a stopped peer closed; tests stop peers all the time.
# It reads this once, when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# A run keeps what it imported and collected to its end: to go through all of that again and again takes a twentieth of it.
gc.set_threshold(20_000, 20, 20)

pytest_plugins = ["lotpro_kit.testing"]
