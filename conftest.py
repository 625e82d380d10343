"""Every room's tests share the kit's fixtures."""

import os

# gRPC's C core tells standard error of every connection that a stopped peer closed; tests stop peers all the time.
# It reads this once, when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

pytest_plugins = ["lotpro_kit.testing"]
