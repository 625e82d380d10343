"""Reading pictures of strangers: one at a time in a thread, so that they take neither all memory nor the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from io import BytesIO

from PIL import Image, ImageOps

from lotpro_identity.pictures.domain import (
    ACCEPTED,
    LARGEST_BYTES,
    SIDE,
    PictureInvalid,
    PicturesBusy,
    PictureTooLarge,
    check_size,
)

FORMATS = ("JPEG", "PNG", "WEBP")
#: JPEGs are read at a fraction of their size where that is still this large.
_DRAFT = (2 * SIDE, 2 * SIDE)
QUALITY = 82


class Images:
    """Makes portraits. As many as `queue` wait or are being read; who comes then is turned away."""

    def __init__(self, *, queue: int) -> None:
        self._queue, self._inside = queue, 0

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="pictures")

    async def portrait(self, content: bytes, media_type: str) -> bytes:
        """A square WebP of a picture: turned upright, cut to its middle, with nothing of the file that came.

        Raises PictureInvalid, PictureTooLarge and PicturesBusy.
        """
        if len(content) > LARGEST_BYTES:
            raise PictureTooLarge
        if self._inside >= self._queue:
            raise PicturesBusy
        self._inside += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, portrait, content, media_type)
        # Counted until the thread is done with it, also when nobody waits for it any more.
        work.add_done_callback(self._leave)
        return await asyncio.shield(work)

    def _leave(self, work: "asyncio.Future[bytes]") -> None:
        self._inside -= 1
        if not work.cancelled():
            work.exception()


def portrait(content: bytes, media_type: str) -> bytes:
    """The same, in the thread; raises PictureInvalid and PictureTooLarge."""
    try:
        if media_type == "image/webp":
            # Its decoder takes memory for the whole canvas when it is opened, before anybody could ask for the size.
            check_size(*_webp_size(content))
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.format not in ACCEPTED[media_type]:
                raise PictureInvalid
            # Only the header has been read so far.
            check_size(*picture.size)
            picture.draft("RGB", _DRAFT)
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            mode = "RGBA" if upright.has_transparency_data else "RGB"
            fitted = ImageOps.fit(upright.convert(mode), (SIDE, SIDE), Image.Resampling.LANCZOS)
        # On a new canvas: positions, thumbnails, comments and profiles stay with the old one.
        canvas = Image.new(mode, (SIDE, SIDE))
        canvas.paste(fitted)
        made = BytesIO()
        canvas.save(made, "WEBP", quality=QUALITY)
    except (PictureInvalid, PictureTooLarge):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLarge from error
    except Exception as error:
        # Whatever a decoder stumbles over in a stranger's file, the file is what is wrong.
        raise PictureInvalid from error
    return made.getvalue()


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height by the first chunk of a WebP file (RFC 9649); raises PictureInvalid."""
    kind, chunk = content[8:16], content[20:30]
    if content[:4] != b"RIFF" or len(chunk) < 10:
        raise PictureInvalid
    if kind == b"WEBPVP8X":
        return 1 + int.from_bytes(chunk[4:7], "little"), 1 + int.from_bytes(chunk[7:10], "little")
    if kind == b"WEBPVP8L":
        sizes = int.from_bytes(chunk[1:5], "little")
        return 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF)
    if kind == b"WEBPVP8 ":
        return int.from_bytes(chunk[6:8], "little") & 0x3FFF, int.from_bytes(chunk[8:10], "little") & 0x3FFF
    raise PictureInvalid
