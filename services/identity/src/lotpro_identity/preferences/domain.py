"""What the preferences cookie may say and how it is written; pure."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import lotpro_policy
from lotpro_kit import ids
from lotpro_policy.document import CookieName

#: Longer than any cookie we write; what is longer was not written by us.
LONGEST = 200


class Theme(StrEnum):
    """Colours; `system` follows the device."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Density(StrEnum):
    """How much space rows have."""

    COMFORTABLE = "comfortable"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Preferences:
    """The chosen store and the display settings; says nothing about who chose them."""

    store_id: UUID | None = None
    theme: Theme = Theme.SYSTEM
    density: Density = Density.COMFORTABLE


def cookie() -> CookieName:
    """The one cookie that the policy lists for preferences."""
    (listed,) = lotpro_policy.policy().cookies["preferences"].cookies
    return listed


def written(preferences: Preferences) -> str:
    """The cookie's value: `theme=dark&density=compact&store=<id>`, without characters that a cookie cannot have."""
    pairs = {"theme": preferences.theme.value, "density": preferences.density.value}
    if preferences.store_id is not None:
        pairs["store"] = str(preferences.store_id)
    return urlencode(pairs)


def read(value: str) -> Preferences:
    """What a cookie says. Browsers send what they like: each part that is not ours is as if it were not there."""
    if len(value) > LONGEST:
        return Preferences()
    said = dict(parse_qsl(value))
    theme, density = said.get("theme", ""), said.get("density", "")
    return Preferences(
        store_id=ids.parse(said.get("store", "")),
        theme=Theme(theme) if theme in set(Theme) else Theme.SYSTEM,
        density=Density(density) if density in set(Density) else Density.COMFORTABLE,
    )
