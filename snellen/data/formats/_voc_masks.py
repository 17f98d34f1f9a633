"""VOC's masks of some pictures: SegmentationClass says classes, SegmentationObject says things.

A pixel is 0 on the ground, 255 at the rim of things and where nothing is said; else the number of a
class, or of a thing. PNGs with VOC's palette and the same colours without a palette are one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np

from ...core.errors import DataError
from ..boxes import BoxSet, Record, Thing
from ..ground import is_ground
from ..images import read_header
from ..instances import thing_of
from ..maps import Palette, check_size, code_of, codes_in, read_codes
from ..sample import VOID
from ..source import Problem, SampleSet, Source
from ._folders import channels_of
from ._layout import bases, image_folder
from ._maps import GROUND, source_of_maps
from ._media import pictures
from ._names import Classes
from ._pairs import Pairs
from ._palette import Legend
from ._parts import PARTS
from ._text import decode_text, read_bytes

TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
LOOKS = 8  # masks that tell whether they are coloured
SAME = 0.5  # overlap from which a thing of a mask is that of a box


@dataclass(frozen=True)
class Masked:
    """A picture with its masks; one of the two may be missing."""

    image: str
    of_classes: str | None
    of_things: str | None
    boxes: Record | None


def with_masks(source: Source, path: Path, classes: Classes) -> Source | None:
    """A source of boxes -> the same with maps and masks for the tasks; None where it has none."""
    parts = _masked(source, path)
    every = [one for part in parts.values() for one in part]
    if not every:
        return None
    names = _names(source.classes, classes.is_closed)
    variants = dict(source.variants)
    if any(one.of_classes for one in every):
        variants["segment"] = partial(_maps, path, parts, names)
    if any(one.of_things for one in every):
        variants["instances"] = partial(_things, source, parts, names)
    return replace(source, variants=variants)


def _names(names: Sequence[str], is_listed: bool) -> tuple[str, ...]:
    """Names of the numbers in the maps, the ground first: VOC's twenty whatever occurs here."""
    if not is_listed and set(names) <= set(TWENTY):
        return (GROUND, *TWENTY)
    return tuple(names) if names and is_ground(names[0]) else (GROUND, *names)


def _masked(source: Source, path: Path) -> dict[str, list[Masked]]:
    """{part: its pictures with masks}: as ImageSets/Segmentation has it, else as the boxes have."""
    boxes = _boxes(source)
    found: dict[str, list[Masked]] = {}
    for base in bases(path):
        files = [_by_stem(base / f"Segmentation{kind}") for kind in ("Class", "Object")]
        there = pictures(image_folder(base)) if any(files) else {}
        lists = _lists(base)
        for stem in sorted(set(files[0]) | set(files[1])):
            image = next(iter(there.get(stem, [])), None)
            part, record = boxes.get(image or "", ("train", None))
            part = next((p for p, stems in lists.items() if stem in stems), part)
            if image is not None:
                one = Masked(image, files[0].get(stem), files[1].get(stem), record)
                found.setdefault(part, []).append(one)
    if found and "train" not in found:
        found["train"] = found.pop(next(iter(found)))
    return found


def _boxes(source: Source) -> dict[str, tuple[str, Record]]:
    """{picture: its part and its boxes}."""
    named = {part: getattr(source, part) for part in PARTS}
    return {record.image: (part, record) for part, samples in named.items()
            if isinstance(samples, BoxSet) for record in samples.records}  # fmt: skip


def _by_stem(folder: Path) -> dict[str, str]:
    return {file.stem: str(file) for file in sorted(folder.glob("*.png"))}


def _lists(base: Path) -> dict[str, set[str]]:
    """{part: stems} of ImageSets/Segmentation; train is trainval where only that is there."""
    found = {}
    for part, words in (*PARTS.items(), ("train", ("trainval",))):
        for word in words:
            file = base / "ImageSets" / "Segmentation" / f"{word}.txt"
            if part not in found and file.is_file():
                found[part] = set(decode_text(read_bytes(file), file).split())
    return found


def _palette(names: Sequence[str], files: Sequence[str]) -> Palette:
    """The codes of the classes: numbers, or colours where the first mask has them."""
    numbers = (*range(len(names)), VOID)
    is_coloured = any(max(codes_in(read_codes(file)), default=0) > VOID for file in files[:LOOKS])
    codes = [code_of(colour(k)) for k in numbers] if is_coloured else list(numbers)
    return Palette(tuple(codes[:-1]), (codes[-1],))


def colour(number: int) -> tuple[int, int, int]:
    """The colour of a number in VOC's palette: its bits, dealt to red, green and blue in turn.

    >>> colour(1), colour(15), colour(255)
    ((128, 0, 0), (192, 128, 128), (224, 224, 192))
    """
    bits = [number >> k & 1 for k in range(8)]
    red, green, blue = (sum(bit << 7 - i for i, bit in enumerate(bits[k::3])) for k in range(3))
    return red, green, blue


def _maps(path: Path, parts: dict[str, list[Masked]], names: Sequence[str]) -> Source:
    """Pictures with class maps -> the source that task=segment sees."""
    pairs = {}
    for part, every in parts.items():
        kept = [one for one in every if one.of_classes]
        masks = [[one.of_classes] for one in kept if one.of_classes]
        pairs[part] = Pairs([one.image for one in kept], masks)
    files = [file for each in pairs.values() for (file,) in each.masks]
    return source_of_maps(path, pairs, "voc", Legend(tuple(names), _palette(names, files)))


def _things(source: Source, parts: dict[str, list[Masked]], names: Sequence[str]) -> Source:
    """Pictures with masks of things -> the source that task=instances sees."""
    kept = {part: [one for one in every if one.of_things] for part, every in parts.items()}
    every = [one for some in kept.values() for one in some]
    palette = _palette(names, [one.of_classes for one in every if one.of_classes])
    channels = channels_of([one.image for one in every])
    things = tuple(names[1:])
    table = [things.index(name) if name in things else -1 for name in source.classes]
    sets: dict[str, SampleSet] = {
        part: BoxSet(ThingRecords(some, palette, table), channels, has_outlines=True)
        for part, some in kept.items() if some
    }  # fmt: skip
    if "train" not in sets:
        raise DataError(f"{source.name} has no picture with a mask of things to train on")
    alone = sum(len(part) for part in (source.train, source.val, source.test) if part) - len(every)
    said = [Problem("label-missing", f"{alone} pictures with boxes have no mask of things; they "
                    "are left out", "harmless", source.name)] if alone > 0 else []  # fmt: skip
    facts = {"images": len(every), "channels": channels, "masks": len(every)}
    return Source(source.name, "voc", sets["train"], things, sets.get("val"), sets.get("test"),
                  tuple(said), facts)  # fmt: skip


@dataclass
class ThingRecords(Sequence[Record]):
    """Pictures with masks of things -> records; a mask is read when it is asked for, and kept."""

    masked: Sequence[Masked]
    palette: Palette
    table: Sequence[int]  # class of a box -> class of a thing
    known: dict[int, Record] = field(default_factory=dict)

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
        if i not in self.known:
            self.known[i] = self._read(self.masked[i])
        return self.known[i]

    def _read(self, one: Masked) -> Record:
        assert one.of_things is not None
        numbers_HW = read_codes(one.of_things)
        header = read_header(one.image)
        check_size(one.of_things, numbers_HW.shape, (header.height, header.width))
        semantic_HW = None
        if one.of_classes is not None:
            semantic_HW = self.palette.semantic(read_codes(one.of_classes)).numpy()
            check_size(one.of_classes, semantic_HW.shape, numbers_HW.shape)
        place = {code_of(colour(k)): k for k in range(VOID + 1)}  # in the order of the numbers
        codes = sorted(codes_in(numbers_HW), key=lambda code: place.get(code, code))
        none = (0, VOID, code_of(colour(VOID)))
        shown = [numbers_HW == code for code in codes if code not in none]
        things = [self._classed(one, mask_HW, semantic_HW) for mask_HW in shown]
        kept = tuple(thing for thing in things if thing.label >= 0)
        return Record(one.image, kept, (header.width, header.height), one.of_things)

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
