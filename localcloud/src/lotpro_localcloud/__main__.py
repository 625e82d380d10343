"""`python -m lotpro_localcloud <command>`: the stack as a whole (up, reset) and each of its own processes."""

import importlib
import sys

#: Command -> the module whose `main(argv)` it is; imported only when asked for.
COMMANDS = {
    "up": "lotpro_localcloud.up",
    "reset": "lotpro_localcloud.reset",
    "migration": "lotpro_localcloud.migration",
    "dlq": "lotpro_localcloud.dlq",
    "seed": "lotpro_localcloud.seed.planting",
    "provision": "lotpro_localcloud.provision",
    "launch": "lotpro_localcloud.launch",
    "postgres": "lotpro_localcloud.postgres",
    "servicebus": "lotpro_localcloud.servicebus.server",
    "providers": "lotpro_localcloud.providers.server",
}


def main() -> int:
    """Run a command; its exit status is ours."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.stderr.write(f"usage: python -m lotpro_localcloud {{{','.join(COMMANDS)}}} ...\n")
        return 2
    status: int | None = importlib.import_module(COMMANDS[sys.argv[1]]).main(sys.argv[2:])
    return status or 0


if __name__ == "__main__":
    sys.exit(main())
