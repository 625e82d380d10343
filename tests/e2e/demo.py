"""`make demo`: the main job driven through the running stack's gateway; one line a step, with the time it took."""

import argparse
import sys
import time

import httpx

from lotpro_localcloud.client import Refused
from tests.e2e import flow

WIDTH = 96


def main() -> int:
    """0 when every step did what it should; 1 with the step and the reason otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.demo", description=__doc__)
    parser.add_argument("--gateway", default="http://localhost:8080")
    parser.add_argument("--inbox", default="http://localhost:8310")
    options = parser.parse_args()
    if not _is_up(options.gateway):
        print(f"Nothing is ready at {options.gateway}: start lotPro with `make run` in another terminal first.")
        return 1
    story = flow.begin(options.gateway, options.inbox)
    print(f"{story.owner.name} opens {story.organisation} on lotPro ({options.gateway})\n")
    began = time.monotonic()
    for number, step in enumerate(flow.STEPS, start=1):
        started = time.monotonic()
        try:
            told = step(story)
        except (AssertionError, Refused, httpx.HTTPError) as error:
            print(f"{number:3}. {_title(step)}: FAILED after {time.monotonic() - started:.2f} s\n\n{error}")
            return 1
        took = f"{(time.monotonic() - started) * 1000:6.0f} ms"
        print(f"{number:3}. {_title(step):<{WIDTH - 16}} {took}")
        for line in told:
            print(f"       {line}")
    print(f"\nAll {len(flow.STEPS)} steps done in {time.monotonic() - began:.1f} s.")
    return 0


def _title(step: flow.Step) -> str:
    """A step's name is its docstring's first sentence."""
    return (step.__doc__ or step.__name__).split("\n")[0].rstrip(".")


def _is_up(gateway: str) -> bool:
    try:
        return httpx.get(f"{gateway}/healthz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    sys.exit(main())
