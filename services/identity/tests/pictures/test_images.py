"""What is made of pictures: upright, square, small, and nothing of what the file said or carried besides."""

import asyncio
import tracemalloc
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lotpro_identity.pictures.domain import (
    LARGEST_BYTES,
    PictureInvalid,
    PicturesBusy,
    PictureTooLarge,
    PictureTypeUnsupported,
    accepted_type,
)
from lotpro_identity.pictures.images import Images, portrait
from services.identity.tests.pictures.conftest import bomb_png, bomb_webp, camera_jpeg, encoded, halves

KINDS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def opened(content: bytes) -> Image.Image:
    found = Image.open(BytesIO(content))
    found.load()
    return found


@pytest.mark.parametrize(
    ("media_type", "mode"),
    [
        *(("image/jpeg", mode) for mode in ("RGB", "L", "CMYK")),
        *(("image/png", mode) for mode in ("RGB", "RGBA", "L", "P", "I;16")),
        *(("image/webp", mode) for mode in ("RGB", "RGBA")),
    ],
)
def test_every_kind_and_mode_becomes_a_square_webp(media_type: str, mode: str) -> None:
    source = halves().convert("L").convert("I").convert("I;16") if mode == "I;16" else halves().convert(mode)
    if mode == "RGBA":
        source.putalpha(128)
    made = opened(portrait(encoded(source, KINDS[media_type]), media_type))
    assert (made.format, made.size, made.mode) == ("WEBP", (256, 256), "RGBA" if mode == "RGBA" else "RGB")


def test_a_phones_picture_is_turned_upright_and_forgets_the_place() -> None:
    taken = camera_jpeg()
    assert Image.open(BytesIO(taken)).getexif().get_ifd(0x8825)
    made = opened(portrait(taken, "image/jpeg"))
    # Red was on the left; turned clockwise it is on top.
    top, bottom = made.convert("RGB").getpixel((128, 20)), made.convert("RGB").getpixel((128, 235))
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]
    assert not made.getexif()
    content = portrait(taken, "image/jpeg")
    for trace in (b"EXIF", b"Exif", b"XMP", b"ICCP", b"Prairie", b"Lincoln", b"at home"):
        assert trace not in content


def test_a_file_that_is_two_things_comes_out_as_one() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("page.html", "<script>alert(1)</script>")
    for media_type, kind in KINDS.items():
        polyglot = encoded(halves(), kind) + b"<script>alert(1)</script>" + archive.getvalue()
        assert zipfile.is_zipfile(BytesIO(polyglot))
        content = portrait(polyglot, media_type)
        assert not zipfile.is_zipfile(BytesIO(content))
        assert b"script" not in content
        assert content[:4] == b"RIFF"
        assert int.from_bytes(content[4:8], "little") + 8 == len(content)


@pytest.mark.parametrize("media_type", KINDS)
def test_a_damaged_file_is_refused(media_type: str) -> None:
    whole = encoded(halves((900, 900)), KINDS[media_type])
    for content in (whole[: len(whole) // 2], whole[:40], whole[:10], b"", b"GIF89a", b"<svg onload=alert(1)>"):
        with pytest.raises(PictureInvalid):
            portrait(content, media_type)


@pytest.mark.parametrize("said", KINDS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_a_file_of_another_type_than_it_says_is_refused(said: str, kind: str) -> None:
    if KINDS[said] == kind:
        return
    with pytest.raises(PictureInvalid):
        portrait(encoded(halves(), kind), said)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (bomb_png(5000, 5000), "image/png"), (bomb_png(60_000, 60_000), "image/png"),
        (bomb_png(12_000, 9_000), "image/png"), (bomb_png(20_000, 2), "image/png"),
        (bomb_webp(16_383, 16_383), "image/webp"), (bomb_webp(2**24, 2**8), "image/webp"),
    ],
)
def test_a_bomb_is_known_by_its_header_and_takes_no_memory(content: bytes, media_type: str) -> None:
    assert len(content) < 1000
    tracemalloc.start()
    try:
        with pytest.raises(PictureTooLarge):
            portrait(content, media_type)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_that_is_changed_does_more_than_spoil_the_picture(data: st.DataObject) -> None:
    media_type = data.draw(st.sampled_from(sorted(KINDS)))
    content = bytearray(encoded(halves((40, 30)), KINDS[media_type]))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        made = portrait(bytes(content), media_type)
    except (PictureInvalid, PictureTooLarge):
        return
    assert opened(made).size == (256, 256)


async def test_no_more_pictures_are_read_than_there_is_room_for() -> None:
    images = Images(queue=2)
    content = encoded(halves((2000, 2000)), "PNG")
    answers = await asyncio.gather(*(images.portrait(content, "image/png") for _ in range(5)), return_exceptions=True)
    assert [isinstance(answer, PicturesBusy) for answer in answers] == [False, False, True, True, True]
    assert await images.portrait(content, "image/png")


async def test_a_picture_nobody_waits_for_any_more_still_takes_its_place() -> None:
    images = Images(queue=1)
    content = encoded(halves((3000, 3000)), "PNG")
    left = asyncio.create_task(images.portrait(content, "image/png"))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    with pytest.raises(PicturesBusy):
        await images.portrait(content, "image/png")
    for _ in range(500):
        await asyncio.sleep(0.01)
        if not images._inside:
            break
    assert await images.portrait(content, "image/png")


async def test_more_bytes_than_are_read_are_refused() -> None:
    with pytest.raises(PictureTooLarge):
        await Images(queue=1).portrait(b"x" * (LARGEST_BYTES + 1), "image/png")


@pytest.mark.parametrize("header", ["", "image/gif", "image/svg+xml", "text/html", "image/"])
def test_other_content_types_are_not_taken(header: str) -> None:
    with pytest.raises(PictureTypeUnsupported):
        accepted_type(header)
    assert accepted_type("Image/PNG; charset=x") == "image/png"
