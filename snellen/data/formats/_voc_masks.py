"""VOC's masks of some pictures: SegmentationClass says classes, SegmentationObject says things.

A pixel is 0 on the ground, 255 at the rim of things and where nothing is said; else the number of a
class, or of a thing. PNGs with VOC's palette and the same colours without a palette are one.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...core.errors import DataError
from ..boxes import BoxSet, Record
from ..ground import is_ground
from ..maps import Palette, code_of, codes_in, read_codes
from ..sample import VOID
from ..source import Problem, SampleSet, Source
from ._folders import channels_of
from ._layout import bases, image_folder
from ._maps import GROUND, source_of_maps
from ._media import pictures
from ._names import Classes
from ._pairs import Pairs, mask_alone, mask_fault
from ._palette import LOOKS, Legend
from ._parts import PARTS
from ._text import decode_text, read_bytes
from ._voc_things import Masked, ThingRecords, colour

TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
COLOURED = 8  # masks that tell whether they are coloured


def with_masks(source: Source, path: Path, classes: Classes) -> Source | None:
    """A source of boxes -> the same with maps and masks for the tasks; None where it has none."""
    parts, alone = _masked(source, path)
    every = [one for part in parts.values() for one in part]
    if not every:
        return None
    names = _names(source.classes, classes.is_closed)
    variants = dict(source.variants)
    if any(one.of_classes for one in every):
        variants["segment"] = partial(_maps, path, parts, names, alone=alone)
    if any(one.of_things for one in every):
        variants["instances"] = partial(_things, source, parts, names, alone=alone)
    return replace(source, variants=variants)


def _names(names: Sequence[str], is_listed: bool) -> tuple[str, ...]:
    """Names of the numbers in the maps, the ground first: VOC's twenty whatever occurs here."""
    if not is_listed and set(names) <= set(TWENTY):
        return (GROUND, *TWENTY)
    return tuple(names) if names and is_ground(names[0]) else (GROUND, *names)


def _masked(source: Source, path: Path) -> tuple[dict[str, list[Masked]], list[str]]:
    """{part: its pictures with masks}, as ImageSets/Segmentation has it, else as the boxes have;
    and the masks of no picture.
    """
    boxes = _boxes(source)
    found: dict[str, list[Masked]] = {}
    alone: list[str] = []
    for base in bases(path):
        files = [_by_stem(base / f"Segmentation{kind}") for kind in ("Class", "Object")]
        there = pictures(image_folder(base)) if any(files) else {}
        lists = _lists(base)
        for stem in sorted(set(files[0]) | set(files[1])):
            image = next(iter(there.get(stem, [])), None)
            part, record = boxes.get(image or "", ("train", None))
            part = next((p for p, stems in lists.items() if stem in stems), part)
            if image is None:
                alone += [some[stem] for some in files if stem in some]
            else:
                one = Masked(image, files[0].get(stem), files[1].get(stem), record)
                found.setdefault(part, []).append(one)
    if found and "train" not in found:
        found["train"] = found.pop(next(iter(found)))
    return found, alone


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
    is_coloured = any(
        max(codes_in(read_codes(file)), default=0) > VOID for file in files[:COLOURED]
    )
    codes = [code_of(colour(k)) for k in numbers] if is_coloured else list(numbers)
    return Palette(tuple(codes[:-1]), (codes[-1],))


def _maps(
    path: Path, parts: dict[str, list[Masked]], names: Sequence[str], *, alone: Sequence[str]
) -> Source:
    """Pictures with class maps -> the source that task=segment sees."""
    pairs = {}
    for part, every in parts.items():
        kept, problems = _usable(every, "of_classes")
        masks = [[one.of_classes] for one in kept if one.of_classes]
        pairs[part] = Pairs([one.image for one in kept], masks, problems)
    pairs["train"].problems += _of_no_picture(alone, "SegmentationClass")
    files = [file for each in pairs.values() for (file,) in each.masks]
    return source_of_maps(path, pairs, "voc", Legend(tuple(names), _palette(names, files)))


def _usable(every: Sequence[Masked], *kinds: str) -> tuple[list[Masked], list[Problem]]:
    """Pictures -> those that have a mask of the first kind, sound by its head, and their masks of
    the other kinds too; what is wrong with the others.
    """
    kept, problems = [], []
    for one in every:
        files = [getattr(one, kind) for kind in kinds]
        fault = mask_fault(one.image, [file for file in files if file]) if files[0] else None
        if fault is not None:
            problems.append(fault)
        elif files[0]:
            kept.append(one)
    return kept, problems


def _of_no_picture(alone: Sequence[str], folder: str) -> list[Problem]:
    return [mask_alone(file) for file in alone if Path(file).parent.name == folder]


def _things(
    source: Source, parts: dict[str, list[Masked]], names: Sequence[str], *, alone: Sequence[str]
) -> Source:
    """Pictures with masks of things -> the source that task=instances sees."""
    problems = _of_no_picture(alone, "SegmentationObject")
    kept: dict[str, list[Masked]] = {}
    for part, some in parts.items():
        kept[part], faults = _usable(some, "of_things", "of_classes")
        problems += [replace(fault, part=part) for fault in faults]
    every = [one for some in kept.values() for one in some]
    palette = _palette(names, [one.of_classes for one in every if one.of_classes])
    channels = channels_of([one.image for one in every])
    things = tuple(names[1:])
    table = [things.index(name) if name in things else -1 for name in source.classes]
    sets: dict[str, SampleSet] = {}
    for part, some in kept.items():
        records, faults = _looked(ThingRecords(some, palette, table))
        problems += [replace(fault, part=part) for fault in faults]
        if len(records):
            sets[part] = BoxSet(records, channels, has_outlines=True)
    if "train" not in sets:
        first = f"; the first problem: {problems[0]}" if problems else ""
        raise DataError(f"{source.name} has no picture with a mask of things to train on{first}")
    boxed = sum(len(part) for part in (source.train, source.val, source.test) if part)
    masked = sum(one.of_things is not None for some in parts.values() for one in some)
    if boxed > masked:
        problems.append(Problem("label-missing", f"{boxed - masked} pictures with boxes have no "
                        "mask of things; they are left out", "harmless", source.name))  # fmt: skip
    count = sum(map(len, sets.values()))
    facts = {"images": count, "channels": channels, "masks": count}
    return Source(source.name, "voc", sets["train"], things, sets.get("val"), sets.get("test"),
                  tuple(problems), facts)  # fmt: skip


def _looked(records: ThingRecords) -> tuple[ThingRecords, list[Problem]]:
    """Records -> those of which nothing is wrong so far; what is, in LOOKS pictures from all over.

    A picture that loses all its things so is left out: it is not empty.
    """
    problems, bad = [], set()
    for row in range(0, len(records), max(1, len(records) // LOOKS)):
        one = records.masked[row]
        try:
            record = records[row]
        except DataError as error:
            words = f"{error}; its picture is left out"
            problems.append(Problem("label-unreadable", words, file=one.of_things))
            bad.add(row)
            continue
        lost = records.dropped.get(one.of_things or "", 0)
        if lost:
            words = f"{lost} of its {lost + len(record.things)} things have no class"
            what = "they are" if record.things else "its picture is"
            do = "give each a box in Annotations, or a class in SegmentationClass"
            problems.append(Problem("label-missing", f"{words}; {what} left out", do=do,
                                    file=one.of_things))  # fmt: skip
            bad |= set() if record.things else {row}
    kept = [one for row, one in enumerate(records.masked) if row not in bad]
    return replace(records, masked=kept), problems
