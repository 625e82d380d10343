"""Owns the base of every model here: frozen, and refusing any key it does not know."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that refuses unknown keys, so that a misspelt promise fails at load."""

    model_config = ConfigDict(frozen=True, extra="forbid")
