"""What people write into legal records: one line of readable text, moments that the database can store."""

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def readable(text: str) -> str:
    """Text of one line; raises ValueError for control characters, which would forge lines elsewhere."""
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Cn", "Zl", "Zp") for sign in text):
        raise ValueError("Use letters, digits, spaces and signs on one line only.")
    return text


def storable(moment: datetime) -> datetime:
    """A moment that fits; raises ValueError."""
    if not 1970 <= moment.year < 9000:
        raise ValueError("must be between the years 1970 and 9000")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(storable)]
