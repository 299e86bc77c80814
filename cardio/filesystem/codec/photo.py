"""The photo on a card: its format and size, within bounds. It is recognised and measured, never decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass

from cardio.errors import DecodeError

SIZE_LIMIT = 65536
PIXEL_LIMIT = 4000
"""The limit of width and height, in pixels; a photo of 26 by 32 mm at 300 dpi has 307 by 378."""
_JPEG, _JPEG_END, _BMP = b"\xff\xd8\xff", b"\xff\xd9", b"BM"
_BMP_HEADER = 26


@dataclass(frozen=True, slots=True)
class PhotoShape:
    """The format of a photo, and the space that it takes in the file."""

    media_type: str
    width: int
    height: int
    size: int
    """Bytes, without the fill at the end of the file."""
    whole: bool
    """True if it ends where its format says."""


def recognise_photo(content: bytes) -> PhotoShape | None:
    """Return the format and size of the JPEG or BMP in a file; None if the file is empty.

    Raises:
        DecodeError: the content is neither, or larger than any photo on a card.
    """
    if len(content) > SIZE_LIMIT:
        raise DecodeError("照片过大", f"larger than {SIZE_LIMIT} bytes")
    if not content.strip(b"\x00") or not content.strip(b"\xff"):
        return None
    if content.startswith(_JPEG):
        end = content.rfind(_JPEG_END)
        whole = end >= 0
        size = end + len(_JPEG_END) if whole else len(content.rstrip(b"\x00"))
        media_type = "image/jpeg"
    elif content.startswith(_BMP) and len(content) >= _BMP_HEADER:
        declared = int.from_bytes(content[2:6], "little")
        whole = _BMP_HEADER <= declared <= len(content)
        size = declared if whole else len(content)
        media_type = "image/bmp"
    else:
        raise DecodeError("照片既不是 JPEG 也不是 BMP", "the photo is neither JPEG nor BMP")
    width, height = _pixels(content[:size])
    if not (0 < width <= PIXEL_LIMIT and 0 < height <= PIXEL_LIMIT):
        raise DecodeError("照片的尺寸不可信", f"the photo claims {width} by {height} pixels")
    return PhotoShape(media_type, width, height, size, whole)


def _pixels(content: bytes) -> tuple[int, int]:
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(content))
    except Exception as error:  # foreign bytes may raise any error; then they are no photo
        raise DecodeError("照片已损坏", "the photo's header cannot be read") from error
    return int(width), int(height)
