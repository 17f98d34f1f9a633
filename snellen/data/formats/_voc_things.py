"""VOC's SegmentationObject as records: a thing's class is that of its pixels, or of its box."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np

from ...core.errors import DataError
from ..boxes import Record, Thing, image_size
from ..instances import thing_of
from ..maps import Palette, check_size, code_of, codes_in, read_codes
from ..sample import VOID

SAME = 0.5  # overlap from which a thing of a mask is that of a box


@dataclass(frozen=True)
class Masked:
    """A picture with its masks; one of the two may be missing."""

    image: str
    of_classes: str | None
    of_things: str | None
    boxes: Record | None


@dataclass
class ThingRecords(Sequence[Record]):
    """Pictures with masks of things -> records; a mask is read when it is asked for, and kept."""

    masked: Sequence[Masked]
    palette: Palette
    table: Sequence[int]  # class of a box -> class of a thing
    known: dict[str, Record] = field(default_factory=dict)  # {mask: its record}
    dropped: dict[str, int] = field(default_factory=dict)  # {mask: its things of no class}

    def __len__(self) -> int:
        return len(self.masked)

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Record]: ...
    def __getitem__(self, i: int | slice) -> Record | Sequence[Record]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not 0 <= i < len(self):
            raise IndexError(i)
        one = self.masked[i]
        if one.of_things not in self.known:
            self.known[one.of_things or ""] = self._read(one)
        return self.known[one.of_things or ""]

    def _read(self, one: Masked) -> Record:
        assert one.of_things is not None
        numbers_HW = read_codes(one.of_things)
        size = image_size(one.image)
        check_size(one.of_things, numbers_HW.shape, size[::-1])
        semantic_HW = self._classes(one.of_classes, size) if one.of_classes else None
        place = {code_of(colour(k)): k for k in range(VOID + 1)}  # in the order of the numbers
        codes = sorted(codes_in(numbers_HW), key=lambda code: place.get(code, code))
        none = (0, VOID, code_of(colour(VOID)))
        shown = [numbers_HW == code for code in codes if code not in none]
        things = [self._classed(one, mask_HW, semantic_HW) for mask_HW in shown]
        kept = tuple(thing for thing in things if thing.label >= 0)
        if len(kept) < len(things):
            self.dropped[one.of_things] = len(things) - len(kept)
        return Record(one.image, kept, size, one.of_things)

    def _classes(self, file: str, size: tuple[int, int]) -> np.ndarray:
        """The class map of a picture of W, H; raises DataError with its file."""
        try:
            semantic_HW = self.palette.semantic(read_codes(file)).numpy()
        except DataError as error:
            words = str(error).removeprefix(f"{file} ")
            raise DataError(f"{file} cannot be used: {words}") from error
        check_size(file, semantic_HW.shape, size[::-1])
        return semantic_HW

    def _classed(self, one: Masked, mask_HW: np.ndarray, semantic_HW: np.ndarray | None) -> Thing:
        """A thing with its class: most of its pixels', else its box's; -1 where neither tells."""
        thing = thing_of(mask_HW)
        twin = _nearest(thing, one.boxes)
        label = -1 if twin is None else self.table[twin.label]
        if semantic_HW is not None:
            said = semantic_HW[mask_HW]
            counts = np.bincount(said[(said > 0) & (said < VOID)])
            label = int(counts.argmax()) - 1 if len(counts) else label
        return replace(thing, label=label, ignored=twin is not None and twin.ignored)


def colour(number: int) -> tuple[int, int, int]:
    """The colour of a number in VOC's palette: its bits, dealt to red, green and blue in turn.

    >>> colour(1), colour(15), colour(255)
    ((128, 0, 0), (192, 128, 128), (224, 224, 192))
    """
    bits = [number >> k & 1 for k in range(8)]
    red, green, blue = (sum(bit << 7 - i for i, bit in enumerate(bits[k::3])) for k in range(3))
    return red, green, blue


def _nearest(thing: Thing, boxes: Record | None) -> Thing | None:
    """The box that a thing's is nearly, or None."""
    best, most = None, SAME
    for other in boxes.things if boxes else ():
        (a1, b1, a2, b2), (c1, d1, c2, d2) = thing.box, other.box
        shared = max(0, min(a2, c2) - max(a1, c1)) * max(0, min(b2, d2) - max(b1, d1))
        overlap = shared / ((a2 - a1) * (b2 - b1) + (c2 - c1) * (d2 - d1) - shared)
        if overlap > most:
            best, most = other, overlap
    return best
