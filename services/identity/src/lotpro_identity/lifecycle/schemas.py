"""HTTP shapes of accounts' ends."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from lotpro_kit.api import Answer, Body


class Closing(Answer):
    """A closed account: it is deleted at this moment, unless the link in the e-mail is used before."""

    status: str = Field(default="closing", examples=["closing"])
    delete_after: datetime = Field(examples=["2026-12-23T15:32:00Z"])


class Reopen(Body):
    """The token from the e-mail."""

    token: Annotated[str, Field(min_length=40, max_length=100, examples=["A" * 64])]
