"""`make reset`: the end of everything local."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lotpro_localcloud import surroundings
from lotpro_localcloud.state import InUse, State


def main(argv: Sequence[str] | None = None) -> int:
    """Delete the state; refuses while a stack runs on it."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud reset")
    parser.add_argument("--state", type=Path, default=surroundings.root() / ".lotpro")
    state = State(parser.parse_args(argv).state.resolve())
    try:
        state.remove()
    except InUse as error:
        sys.stderr.write(f"lotPro is running ({error}): stop it first, then reset.\n")
        return 1
    sys.stdout.write(f"{state.root} is gone; `make run` starts afresh.\n")
    return 0
