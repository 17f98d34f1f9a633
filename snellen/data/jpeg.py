"""JPEG bytes -> pixels by simplejpeg where it is installed (the extra `fast`), near a wanted size.

The numbers are Pillow's: both call libjpeg-turbo. What is rare (a turned photo, CMYK, a damaged
file) is left to Pillow, so that it is read, or refused by name, as anywhere.
"""

import io
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

START, SCAN = b"\xff\xd8\xff", 0xDA  # the first bytes of a file; the marker of its pixels
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/"  # where an orientation may stand
ORIENTATION = 0x0112  # the EXIF tag
FACTORS = (8, 4, 2)  # by which libjpeg shrinks while it decodes, with fast code in every build
SPARE = 2  # what is decoded keeps so many times the wanted sides, for the resize to be smooth

Size = tuple[int, int]


@cache
def is_here() -> bool:
    """Whether simplejpeg is installed.

    >>> isinstance(is_here(), bool)
    True
    """
    return find_spec("simplejpeg") is not None


@cache
def _library() -> Any:
    return import_module("simplejpeg")


@cache
def version() -> str | None:
    """Which simplejpeg is installed, or None."""
    return metadata.version("simplejpeg") if is_here() else None


def shrinking(size: Size, wanted: Size | None) -> int:
    """(H, W) of a picture, (H, W) that are wanted -> by how much to shrink it while decoding: 1, 2,
    4 or 8, so that at least SPARE times the wanted sides are left.

    >>> shrinking((1500, 2000), (224, 224)), shrinking((375, 500), (224, 224))
    (2, 1)
    """
    if wanted is None:
        return 1
    room = min(have // (SPARE * want) for have, want in zip(size, wanted, strict=True))
    return next((factor for factor in FACTORS if factor <= room), 1)


def decode(
    data: bytes, channels: int, wanted: Size | None, *, most: int
) -> tuple[np.ndarray, Size] | None:
    """File bytes -> (pixels_HWC, (H, W) of the file); None where Pillow shall have its say.

    Pictures of more than `most` pixels are not decoded.
    """
    if not is_here() or not data.startswith(START) or _turned(data):
        return None
    library = _library()
    try:
        height, width, space, _ = library.decode_jpeg_header(data)
        if height * width > most or space not in ("Gray", "YCbCr", "RGB"):
            return None
        if channels == 1 and space != "Gray":
            return None
        factor = shrinking((height, width), wanted)
        left = (-(-height // factor), -(-width // factor))
        kind = "RGB" if channels == 3 else "GRAY"
        least = {"min_height": left[0], "min_width": left[1]} if factor > 1 else {}
        pixels: np.ndarray = library.decode_jpeg(data, kind, **least)
    except (ValueError, MemoryError):
        return None
    return (pixels, (height, width)) if pixels.shape[:2] == left else None


def _turned(data: bytes) -> bool:
    """Whether a viewer would turn or mirror the picture; what says so stands before the pixels."""
    end = _before_pixels(data)
    if all(data.find(mark, 0, end) < 0 for mark in (EXIF, XMP)):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # Pillow's readers raise nearly any kind on hostile bytes
        return True


def _before_pixels(data: bytes) -> int:
    """How many bytes of segments stand before the pixels: each says its marker and its length. All
    of the file where these do not add up.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        if data[place + 1] == SCAN:
            return place
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return len(data)
