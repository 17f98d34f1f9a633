"""Reading pictures safely: any mode of Pillow -> uint8 gray or RGB, upright, bounded, or DataError.

Pixels that the file format stores otherwise (palette, CMYK, 16 bit, float, alpha, EXIF rotation)
come out as a viewer would show them.
"""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..core.errors import DataError
from . import jpeg
from .jpeg import ORIENTATION

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2"),
)
MAX_PIXELS = 64_000_000  # 190 MB as RGB; a larger header is a bomb or a scan to cut up first
GRAY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
SIDEWAYS = (5, 6, 7, 8)  # orientations in which width and height change places


@dataclass(frozen=True)
class Header:
    """What a picture's first bytes say, read without decoding it."""

    format: str  # JPEG, PNG ...
    mode: str  # Pillow's: L, RGB, P, CMYK, I;16 ...
    width: int
    height: int
    frames: int = 1
    orientation: int = 1

    @property
    def is_gray(self) -> bool:
        """Whether one channel says it all."""
        return self.mode in GRAY_MODES


def is_image_name(name: str) -> bool:
    """Whether a file name ends like a picture's.

    >>> is_image_name("a.JPG"), is_image_name("Thumbs.db")
    (True, False)
    """
    return "." + name.rpartition(".")[2].lower() in SUFFIXES


def read_header(path: str | Path) -> Header:
    """Path -> header; raises DataError where the first bytes are no picture's."""
    try:
        with Image.open(path) as image:
            turn = int(image.getexif().get(ORIENTATION, 1) or 1)
            frames = int(getattr(image, "n_frames", 1))
            return Header(image.format or "", image.mode, *image.size, frames, turn)
    except Exception as error:
        raise _unreadable(path, error) from error


def read_image(path: str | Path, channels: int = 3) -> Tensor:
    """Path -> image_CHW uint8 with 1 or 3 channels, upright; the first frame of an animation.

    Raises DataError naming the file where it is missing, cut off, too large or no picture.
    """
    return _first(read_pixels(path, channels))


def picture(image: Image.Image, channels: int | None = None) -> Tensor:
    """A PIL picture -> image_CHW uint8 as `read_image` gives; gray stays gray where None is asked.

    >>> picture(Image.new("LA", (4, 2))).shape, picture(Image.new("P", (4, 2))).shape
    (torch.Size([1, 2, 4]), torch.Size([3, 2, 4]))
    """
    if channels is None:
        channels = 1 if image.mode in GRAY_MODES else 3
    name = getattr(image, "filename", "") or "the picture"
    return _first(_pixels(image, channels, name))


def read_pixels(path: str | Path, channels: int = 3) -> np.ndarray:
    """Path -> image_HWC uint8, as `read_image`, for NumPy users."""
    if not str(path).lower().endswith(JPEG_SUFFIXES):
        return _by_pillow(path, path, channels)[0]
    return decode_near(read_bytes(path), path, channels)[0]


def pictures_in(paths: str | Path | Iterable[str | Path]) -> Iterator[str]:
    """Paths, or one -> the files, and in place of a folder the pictures in and under it, in order.

    Raises DataError for a folder without a picture, or that cannot be read.

    >>> list(pictures_in(["b.png", Path("a.png")]))
    ['b.png', 'a.png']
    """
    for path in [paths] if isinstance(paths, str | Path) else paths:
        if not os.path.isdir(path):
            yield str(path)
            continue
        try:
            inside = sorted(p for p in Path(path).rglob("*") if p.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise DataError(f"{error.filename or path} cannot be read: {error.strerror}") from error
        if not inside:
            raise DataError(f"{path} holds no picture ({', '.join(sorted(SUFFIXES))})")
        yield from map(str, inside)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file; DataError that names it where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except Exception as error:
        raise _unreadable(path, error) from error


def decode_near(
    data: bytes, name: str | Path, channels: int = 3, *, wanted: tuple[int, int] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Bytes of a file -> (image_HWC uint8, upright; the (H, W) that it has when read whole).

    A JPEG that is much larger than the `wanted` (H, W) comes out at a half, a quarter or an eighth
    of its size, which takes less time. Raises DataError that names the file.
    """
    found = jpeg.decode(data, channels, wanted, most=MAX_PIXELS)
    return found or _by_pillow(io.BytesIO(data), name, channels, wanted)


def _by_pillow(
    file: str | Path | io.BytesIO,
    name: str | Path,
    channels: int,
    wanted: tuple[int, int] | None = None,
) -> tuple[np.ndarray, tuple[int, int]]:
    try:
        with Image.open(file) as image:
            _refuse_too_large(image, name)
            width, height = image.size
            factor = 1
            if image.format in ("JPEG", "MPO") and wanted is not None:
                turned = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
                factor = jpeg.shrinking((height, width), wanted[::-1] if turned else wanted)
            if factor > 1:
                image.draft(image.mode, (width // factor, height // factor))
            pixels = _pixels(image, channels, name)
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    if factor == 1:
        return pixels, (pixels.shape[0], pixels.shape[1])
    return pixels, (width, height) if turned else (height, width)


def _refuse_too_large(image: Image.Image, name: str | Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_too_large(name, image.size))


def _pixels(image: Image.Image, channels: int, name: str | Path) -> np.ndarray:
    try:
        _refuse_too_large(image, name)
        pixels = np.array(upright(image, channels))
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise nearly any kind on hostile bytes
        raise _unreadable(name, error) from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _first(pixels_HWC: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels_HWC, -1, 0)))


def upright(image: Image.Image, channels: int) -> Image.Image:
    """Picture of any mode -> L or RGB, turned as its EXIF tag says.

    >>> upright(Image.new("CMYK", (4, 2)), 3).mode
    'RGB'
    """
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
    image = eight_bit(ImageOps.exif_transpose(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = _on_white(image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def eight_bit(image: Image.Image) -> Image.Image:
    """Gray of 16 bit, 32 bit or float -> L: 16 bit keeps its high byte, the rest is scaled."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if image.mode != "F" and (image.format == "PNG" or 0 <= values.min() <= values.max() < 2**16):
        return Image.fromarray((values >> 8).astype(np.uint8))  # 16 bit, also where read as 32
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    if not np.isfinite(low + high):
        raise DataError("holds NaN or infinite pixels")
    if low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _too_large(path: str | Path, size: tuple[int, int]) -> str:
    return (
        f"{path} claims {size[0]} x {size[1]} pixels, more than {MAX_PIXELS // 10**6} million; "
        "cut it up or shrink it, or leave it out"
    )


def _unreadable(path: str | Path, error: Exception) -> DataError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return DataError(f"{path} claims too many pixels to decode; cut it up or shrink it")
    if isinstance(error, MemoryError):
        return DataError(f"{path} needs more memory than there is; cut it up or shrink it")
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no file {path}")
    if isinstance(error, PermissionError | IsADirectoryError):
        return DataError(f"{path} cannot be opened: {error.strerror}")
    what = "is not a picture" if isinstance(error, Image.UnidentifiedImageError) else str(error)
    return DataError(f"{path} cannot be read as a picture: {what}; replace or remove it")
