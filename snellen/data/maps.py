"""Class maps: pictures whose pixels are classes, beside the pictures that they describe."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError, shortlist
from .images import MAX_PIXELS, read_image
from .sample import VOID, Sample, Target
from .source import SampleSet

COLOUR = 2**24  # added to a colour's number, so that none is taken for a gray value
DIRECT = 2**16  # codes below are looked up in a table


@dataclass(frozen=True)
class Palette:
    """Which code of a pixel is which class; a code is a gray value, an index, or a colour's number.

    `voids` are codes of no class. Other codes are strange.

    >>> Palette((0, 7), (255,)).semantic(np.array([[7, 0, 255]]))
    tensor([[  1,   0, 255]])
    """

    codes: tuple[int, ...]
    voids: tuple[int, ...] = (VOID,)

    def semantic(self, codes_HW: np.ndarray) -> Tensor:
        """codes_HW -> semantic_HW; raises DataError for a code of no class."""
        strange = self.strange(codes_HW)
        if strange:
            words = shortlist([code_word(code) for code in strange], 4)
            count = int(np.isin(codes_HW, strange).sum())
            raise DataError(f"{count} pixels are {words}, none of the {len(self.codes)} classes")
        places, order = self._sorted()
        return torch.from_numpy(order[np.searchsorted(places, codes_HW)])

    def strange(self, codes_HW: np.ndarray) -> list[int]:
        """The codes of a map that are neither a class nor void."""
        return [code for code in codes_in(codes_HW) if code not in (*self.codes, *self.voids)]

    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        table = dict.fromkeys(self.voids, VOID) | {c: k for k, c in enumerate(self.codes)}
        places = sorted(table)
        return np.array(places), np.array([table[place] for place in places], np.int64)


@dataclass
class MapSet(SampleSet):
    """Pictures and their class maps, both read when asked for."""

    reads_files = True

    images: Sequence[str]
    maps: Sequence[str]
    palette: Palette
    channels: int = 3

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        image_CHW = read_image(self.images[i], self.channels)
        codes_HW = read_codes(self.maps[i])
        check_size(self.maps[i], codes_HW.shape, image_CHW.shape[-2:])
        try:
            semantic_HW = self.palette.semantic(codes_HW)
        except DataError as error:
            raise DataError(f"{self.maps[i]}: {error}") from error
        return Sample(image_CHW, Target(semantic_HW=semantic_HW), i, self.images[i])

    def path(self, i: int) -> str:
        """The picture of sample i."""
        return self.images[i]


@dataclass
class Painted(SampleSet):
    """A set of things with masks as one of class maps: 0 is the ground, class k is k + 1.

    Where things cover one another the smaller is in front. Ignored things are VOID, and so is the
    box of a thing without an outline.
    """

    whole: SampleSet

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        sample = self.whole[i]
        return replace(sample, target=Target(semantic_HW=painted(sample)))

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.whole.path(i)


def painted(sample: Sample) -> Tensor:
    """A sample with labels and masks_NHW (None: no thing) -> semantic_HW."""
    target, semantic_HW = sample.target, torch.zeros(sample.size, dtype=torch.int64)
    if target.masks_NHW is None or target.labels is None:
        return semantic_HW
    areas_N = target.masks_NHW.flatten(1).sum(1)
    for row in areas_N.argsort(descending=True, stable=True).tolist():
        is_ignored = target.ignored_N is not None and bool(target.ignored_N[row])
        semantic_HW[target.masks_NHW[row]] = VOID if is_ignored else int(target.labels[row]) + 1
    return semantic_HW


def read_codes(path: str | Path) -> np.ndarray:
    """A class map's file -> codes_HW: gray values or indices as they stand, colours as numbers.

    Raises DataError where it cannot be read.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path} claims more than {MAX_PIXELS // 10**6} million pixels")
            is_plain = image.mode in ("1", "L", "P", "I") or image.mode.startswith("I;16")
            shown = image if is_plain else image.convert("L" if image.mode == "LA" else "RGB")
            pixels = np.asarray(shown).astype(np.int64)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise nearly any kind on hostile bytes
        raise DataError(f"{path} cannot be read as a mask: {error}; replace it") from error
    return pixels if pixels.ndim == 2 else _colours(pixels)


def codes_in(codes_HW: np.ndarray) -> list[int]:
    """The codes that occur, sorted; negative ones of a broken file too.

    >>> codes_in(np.array([[3, 0], [0, 3]]))
    [0, 3]
    """
    flat = codes_HW.ravel()
    if len(flat) and flat.min() >= 0 and flat.max() < DIRECT:
        return np.flatnonzero(np.bincount(flat)).tolist()
    return np.unique(flat).tolist()


def segment_ids(codes_HW: np.ndarray) -> np.ndarray:
    """Codes of a panoptic map -> the numbers of its segments: red + 256 green + 65536 blue.

    >>> segment_ids(np.array([[code_of((7, 1, 0)), code_of((2, 2, 2)), 0]])).tolist()
    [[263, 131586, 0]]
    """
    colours = codes_HW - COLOUR
    turned = (colours & 255) << 16 | colours & 0xFF00 | colours >> 16
    return np.where(codes_HW >= COLOUR, turned, codes_HW * 0x10101)


def check_size(file: str, have: Sequence[int], want: Sequence[int]) -> None:
    """Raise DataError where H, W of a mask are not those of its picture."""
    if tuple(have) != tuple(want):
        raise DataError(f"{file} is {have[1]} x {have[0]} and its picture {want[1]} x {want[0]}; "
                        "a mask has a pixel for each of its picture's")  # fmt: skip


def code_of(colour: Sequence[int]) -> int:
    """Red, green, blue -> the code that `read_codes` gives to such a pixel; gray is its value.

    >>> code_of((9, 9, 9)), code_of((0, 0, 1)) - COLOUR
    (9, 1)
    """
    red, green, blue = (int(v) for v in colour)
    is_gray = red == green == blue
    return red if is_gray else COLOUR + (red << 16 | green << 8 | blue)


def code_word(code: int) -> str:
    """A code for people.

    >>> code_word(7), code_word(code_of((255, 0, 9)))
    ('7', '#ff0009')
    """
    return str(code) if code < COLOUR else f"#{code - COLOUR:06x}"


def _colours(pixels_HWC: np.ndarray) -> np.ndarray:
    red, green, blue = pixels_HWC[..., 0], pixels_HWC[..., 1], pixels_HWC[..., 2]
    is_gray = (red == green) & (green == blue)
    return np.where(is_gray, red, COLOUR + (red << 16 | green << 8 | blue))
