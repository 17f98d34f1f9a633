"""JPEG bytes -> pixels by simplejpeg where it is installed (the extra `fast`), near a wanted size.

The numbers are Pillow's: both call libjpeg-turbo. What is rare (a turned photo, CMYK, a damaged
file) is left to Pillow, so that it is read, or refused by name, as anywhere.
"""

import io
from collections.abc import Sequence
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

START = b"\xff\xd8\xff"  # the first bytes of a file
MARK, NOTES, SCAN = 0xFF, 0xE1, 0xDA  # before a segment's kind; EXIF's and XMP's kind, the pixels'
ORIENTATION = 0x0112  # the EXIF tag
SPACES = {1: ("Gray",), 3: ("Gray", "YCbCr", "RGB")}  # of a file, by the channels that are asked
KINDS = {1: "GRAY", 3: "RGB"}
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
    size = _plain_size(data, channels) if is_here() else None
    if size is None or size[0] * size[1] > most:
        return None
    factor = shrinking(size, wanted)
    left = (-(-size[0] // factor), -(-size[1] // factor))
    least = {"min_height": left[0], "min_width": left[1]} if factor > 1 else {}
    pixels = _pixels(data, channels, **least)
    return (pixels, size) if pixels is not None and pixels.shape[:2] == left else None


def decode_all(
    files: Sequence[bytes], size: Size, channels: int, *, most: int
) -> list[np.ndarray | None]:
    """Files -> pixels_HWC of those of just `size` that `decode` takes, None for the others. Each
    step for all files before the next, so that what it needs of Python stays in the processor's
    cache; each picture in memory of its own, so that one that is kept holds no other.
    """
    if not is_here() or size[0] * size[1] > most:
        return [None] * len(files)
    fits = [_plain_size(data, channels) == size for data in files]
    return [_pixels(data, channels) if fit else None
            for fit, data in zip(fits, files, strict=True)]  # fmt: skip


def _pixels(data: bytes, channels: int, **least: int) -> np.ndarray | None:
    try:
        pixels: np.ndarray = _library().decode_jpeg(data, KINDS[channels], **least)
    except (ValueError, MemoryError):
        return None
    return pixels


def _plain_size(data: bytes, channels: int) -> Size | None:
    """(H, W) of a JPEG of which simplejpeg makes these channels as Pillow does; None of others."""
    if not data.startswith(START) or _turned(data):
        return None
    try:
        height, width, space, _ = _library().decode_jpeg_header(data)
    except (ValueError, MemoryError):
        return None
    return (height, width) if space in SPACES[channels] else None


def _turned(data: bytes) -> bool:
    """Whether a viewer would turn or mirror the picture."""
    if not _has_notes(data):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # Pillow's readers raise nearly any kind on hostile bytes
        return True


def _has_notes(data: bytes) -> bool:
    """Whether a segment before the pixels may tell an orientation. Each says its kind and its
    length; where these do not add up, it may.
    """
    place, end = 2, len(data) - 4
    while place < end and data[place] == MARK and (kind := data[place + 1]) not in (NOTES, MARK):
        if kind == SCAN:
            return False
        place += 2 + (data[place + 2] << 8 | data[place + 3])
    return True
