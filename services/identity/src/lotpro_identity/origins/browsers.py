"""Browsers and operating systems by what they say of themselves; a hint for people, never a proof."""

from dataclasses import dataclass
from functools import lru_cache

from ua_parser import parse


@dataclass(frozen=True, slots=True)
class Browser:
    """Empty where the user agent does not tell."""

    name: str
    os: str


@lru_cache(maxsize=4096)
def browser_of(user_agent: str) -> Browser:
    """`Firefox 142` on `Windows 10`, as far as the user agent tells."""
    found = parse(user_agent)
    return Browser(
        name=_named(found.user_agent.family, found.user_agent.major) if found.user_agent else "",
        os=_named(found.os.family, found.os.major) if found.os else "",
    )


def _named(family: str, major: str | None) -> str:
    return f"{family} {major}" if major else family
