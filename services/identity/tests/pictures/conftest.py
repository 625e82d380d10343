"""Accounts with the whole of their life to look at, and pictures as cameras and attackers make them."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from services.identity.tests.conftest import Identity
from services.identity.tests.lifecycle.conftest import Lives


@pytest.fixture
def lives(identity: Identity) -> Lives:
    return Lives(identity)


def halves(size: tuple[int, int] = (600, 400), mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new(mode, size, "red")
    picture.paste("blue", (size[0] // 2, 0, *size))
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The file of a picture."""
    made = BytesIO()
    picture.save(made, kind, **options)
    return made.getvalue()


def camera_jpeg() -> bytes:
    """As a phone makes it that was held upright: turned by EXIF, with the place, a comment and XMP."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned 90 degrees clockwise
    exif[0x010F] = "Prairie Phone"
    exif.get_ifd(0x8825).update({1: "N", 2: (40.0, 48.0, 49.0), 3: "W", 4: (96.0, 40.0, 31.0)})
    return encoded(halves(), "JPEG", exif=exif, comment=b"at home", xmp=b"<x:xmpmeta>Lincoln</x:xmpmeta>")


def bomb_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be a picture of this size, and would be if they were unpacked."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9999)) + chunk(
        b"IEND", b""
    )


def bomb_webp(width: int, height: int) -> bytes:
    """A small WebP whose canvas claims this size."""
    small = encoded(halves((8, 8), "RGBA"), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    assert small[12:16] == b"VP8X"
    return small[:24] + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + small[30:]
