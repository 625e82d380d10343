"""What a picture must be, and what is made of it; pure."""

from datetime import timedelta
from uuid import UUID

from lotpro_kit import errors
from lotpro_kit.errors import FieldError

#: What is taken, as the client declares it, and the formats Pillow may find in it. MPO is a JPEG of several views.
ACCEPTED = {
    "image/jpeg": frozenset({"JPEG", "MPO"}), "image/png": frozenset({"PNG"}), "image/webp": frozenset({"WEBP"}),
}
#: What is kept and shown.
TYPE = "image/webp"
SIDE = 256
#: The gateway and the kit let no larger body through.
LARGEST_BYTES = 1_048_576
#: Reading a picture takes four bytes a pixel: 64 MiB at most, for one at a time. Phones take 12 million pixels.
MOST_PIXELS = 16_777_216
LONGEST_SIDE = 16_384
#: A blob that no account shows after this long was left behind by an upload that died.
UPLOAD_TIME = timedelta(hours=1)


class PictureTypeUnsupported(errors.Invalid):
    """The content type is not one of those that are taken."""

    code = "identity.picture_type_unsupported"
    message = "Send a JPEG, PNG or WebP picture, and say which by its content type."


class PictureInvalid(errors.Invalid):
    """The content is no picture of the declared type, or a damaged one."""

    code = "identity.picture_invalid"
    message = "This file is damaged or not what it says it is. Try another picture."


class PictureTooLarge(errors.Invalid):
    """The picture has more bytes or pixels than are read."""

    code = "identity.picture_too_large"
    message = "This picture is too large. Send one of at most 1 MiB and 16 million pixels."


class PicturesBusy(errors.RateLimited):
    """More pictures come in at this moment than can be read."""

    code = "identity.pictures_busy"
    message = "Many pictures are being sent right now. Try again in a moment."


def accepted_type(header: str) -> str:
    """The media type in a content-type header; raises PictureTypeUnsupported."""
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in ACCEPTED:
        wrong = FieldError("/header/content-type", PictureTypeUnsupported.code, PictureTypeUnsupported.message)
        raise PictureTypeUnsupported(errors=(wrong,))
    return media_type


def check_size(width: int, height: int) -> None:
    """Refuse what would take too much memory to read, by what its header says; raises PictureTooLarge."""
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise PictureTooLarge


def blob_name(blob_id: UUID) -> str:
    """The name of a picture's blob; it is random and says nothing about the person."""
    return f"pictures/{blob_id}"
