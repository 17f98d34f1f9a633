"""Reading a picture for an input of known size: decoded near that size, resized, kept on the disk.

What differs from reading it whole: a JPEG that is far larger is shrunk by libjpeg first, by
averaging in its own transform, so a pixel differs by one or two grey levels in the mean and by more
at sharp edges. Other pictures are the same to the last bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from ..core.cache import cache_folder
from ..version import __version__
from . import jpeg
from .images import MAX_PIXELS, decode_near, read_bytes
from .inputs import Inputs
from .pixel_cache import PixelCache, Size

LARGE = 256 * 256  # pixels of a file from which a copy is read in less time than it is decoded
FIT = 1  # raised with each change of `Inputs.fit` or of decoding, so that old copies are not used
TOGETHER = 2**18  # bytes of files that are decoded together
SMALL_FILE = 4096  # bytes, in which so many pixels are hardly found
Files = list[tuple[str, bytes]]


@cache
def kept_in(folder: Path) -> PixelCache:
    """The copies under a cache folder: one for all parts of a data set, so that one bound holds."""
    return PixelCache(folder / "pixels")


@dataclass(frozen=True)
class Near:
    """How pictures are read for `inputs`; copies of large ones are kept in `kept`."""

    inputs: Inputs
    kept: PixelCache | None = field(default_factory=lambda: kept_in(cache_folder()))

    def read(self, path: str, channels: int) -> tuple[Tensor, Size]:
        """Path -> image_CHW as `inputs` is fed, and the (H, W) of the picture itself.

        Raises DataError that names the file.
        """
        return self._fitted(read_bytes(path), path, channels)

    def read_all(self, paths: Sequence[str], channels: int) -> list[tuple[Tensor, Size]]:
        """Paths -> what `read` gives for each; those that need no resize are decoded together."""
        is_kept = self.kept is not None and self.inputs.height * self.inputs.width >= LARGE
        if is_kept or channels != self.inputs.channels:
            return [self.read(path, channels) for path in paths]
        return [found for files in _parts(paths) for found in self._together(files, channels)]

    def _together(self, files: Files, channels: int) -> list[tuple[Tensor, Size]]:
        size = (self.inputs.height, self.inputs.width)
        found = jpeg.decode_all([data for _, data in files], size, channels, most=MAX_PIXELS)
        return [self._fitted(data, path, channels) if pixels is None else (self._fit(pixels), size)
                for pixels, (path, data) in zip(found, files, strict=True)]  # fmt: skip

    def _fitted(self, data: bytes, path: str, channels: int) -> tuple[Tensor, Size]:
        wanted = (self.inputs.height, self.inputs.width)
        key = ""
        if self.kept is not None and len(data) >= SMALL_FILE:
            key = self.kept.key(data, self._how(channels))
            if (found := self.kept.get(key)) is not None:
                return found
        pixels, size = decode_near(data, path, channels, wanted=wanted)
        image_CHW = self._fit(pixels)
        if key and self.kept is not None and size[0] * size[1] >= LARGE:
            self.kept.put(key, image_CHW, size)
        return image_CHW, size

    def _fit(self, pixels_HWC: np.ndarray) -> Tensor:
        return self.inputs.fit(torch.from_numpy(pixels_HWC.transpose(2, 0, 1)))

    def _how(self, channels: int) -> str:
        """What the pixels depend on beside the file."""
        inputs = self.inputs
        shape = f"{inputs.channels}x{inputs.height}x{inputs.width}"
        makers = f"{__version__} {PIL.__version__} {jpeg.version()} {torch.__version__}"
        return f"{shape} of {channels}, {jpeg.SPARE}, {FIT}, {makers}"


def _parts(paths: Sequence[str]) -> Iterator[Files]:
    """Paths with the bytes of their files, no more at once than the processor's cache holds."""
    part: Files = []
    room = TOGETHER
    for path in paths:
        part.append((path, read_bytes(path)))
        room -= len(part[-1][1])
        if room < 0:
            yield part
            part, room = [], TOGETHER
    yield part
