"""Identifiers: UUID version 7 (RFC 9562, section 5.7), which sort by the time they were made."""

import os
import time
from uuid import UUID


def new() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=value)


def parse(text: str) -> UUID | None:
    """The UUID a text spells, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
