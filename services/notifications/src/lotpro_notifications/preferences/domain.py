"""What a person may choose. Codes and security alerts are no choice."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Preferences:
    """A person's choices; version 0 is somebody who never chose."""

    user_id: UUID
    sms_alerts: bool = True
    version: int = 0
