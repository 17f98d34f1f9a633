"""What every writer does: a folder of its own, linked or copied pictures, unique names."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core import registry
from ...core.errors import DataError, UsageError
from ..boxes import BoxSet, Record, Thing
from ..formats._layout import IMAGES, part_in
from ..source import SampleSet, Source

FACTS = {"outlines": "outlines", "keypoints": "skeletons", "ignored": "marks of crowds",
         "bones": "bones of the skeleton", "areas": "areas that are not their boxes'",
         "supercategories": "supercategories"}  # fmt: skip
SEG = "which --to yolo-seg writes, with the boxes of the polygons"
WHY = {("yolo", "outlines"): SEG, ("yolo-box", "outlines"): SEG}  # left out with a place for it
COCOS = ("areas", "supercategories")  # what only COCO says
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Item:
    """A record on its way out: its part, its row, W and H, and the name of its picture there."""

    part: str
    record: Record
    size: tuple[int, int]
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending; folders stay."""
        return self.name.rpartition(".")[0]


def parts_of(source: Source) -> dict[str, SampleSet]:
    """The parts that a source has."""
    named = {part: getattr(source, part) for part in PARTS}
    return {part: samples for part, samples in named.items() if samples is not None}


def need_boxes(source: Source) -> None:
    """Raise DataError where there are none, before a folder is made."""
    if not isinstance(source.train, BoxSet):
        raise DataError(f"{source.name} ({source.format}) has no boxes; --to csv writes classes, "
                        "the others write boxes, outlines and key points")  # fmt: skip


def items(source: Source, *, flat: bool = False) -> Iterator[Item]:
    """A source of boxes -> its records in pixels, under names that are unique; DataError else.

    Folders below a part's own are kept, where the format is not `flat`: then a picture whose name
    another one has gets its folder's before it. A picture that cannot be read has no size and is
    passed over; `unreadable` names it.
    """
    taken: set[str] = set()
    for part, samples in parts_of(source).items():
        if not isinstance(samples, BoxSet):
            raise DataError(f"{source.name} has no boxes to write")
        top = _top([samples.path(i) for i in range(len(samples))])
        for i in range(len(samples)):
            try:
                record, size = samples.record(i), samples.size(i)
            except DataError:
                continue
            name = flat_name(record.image) if flat else f"{part}/{inner_name(record.image, top)}"
            name = _free(name, record.image, taken)
            yield Item(part, record, size, name if flat else name.removeprefix(f"{part}/"))


def unreadable(source: Source) -> Iterator[str]:
    """What cannot be written because its picture cannot be read, a line each."""
    for part in parts_of(source).values():
        for i in range(len(part) if isinstance(part, BoxSet) else 0):
            try:
                part.size(i)  # type: ignore[attr-defined]
            except DataError as error:
                yield f"left out: {error}"


def left_out(source: Source, format: str) -> Iterator[str]:
    """What a format has no place for, and what was dropped on reading, a line each."""
    for problem in source.problems:
        if problem.harm == "harmful":
            yield f"not as it was: {problem}"
    lost = registry.collect("snellen.data.convert", "LOSES").get(format, ())
    facts = counts(source)
    for fact in lost(source) if callable(lost) else lost:
        if facts.get(fact):
            why = WHY.get((format, fact), f"which {format} has no place for")
            yield f"left out: {facts[fact]} {FACTS[fact]}, {why}"
    if "caption" in source.variants:
        captions = source.of("caption")
        yield f"left out: {captions.facts['captions']} captions, which lie in files of their own"
    if "instances" in source.variants:
        masks = source.of("instances").facts["masks"]
        yield f"left out: masks of things of {masks} pictures, which lie in files of their own"
    maps = source.of("segment").facts.get("maps") if "segment" in source.variants else 0
    if maps:
        yield f"left out: class maps of {maps} pictures, which lie in files of their own"


def counts(source: Source) -> dict[str, int]:
    """How many of each of FACTS a source has."""
    things = [thing for part in parts_of(source).values() if isinstance(part, BoxSet)
              for record in part.records for thing in record.things]  # fmt: skip
    return {
        "outlines": sum(bool(thing.outline) for thing in things),
        "keypoints": sum(any(thing.keypoints[2::3]) for thing in things),
        "ignored": sum(thing.ignored for thing in things),
        "bones": len(source.skeleton.bones) if source.skeleton else 0,
        "areas": sum(_has_own_area(thing) for thing in things),
        "supercategories": sum("supercategory" in kind for kind in source.categories),
    }


def _has_own_area(thing: Thing) -> bool:
    """Whether an area is said that its box does not tell."""
    x1, y1, x2, y2 = thing.box
    return thing.area is not None and abs(thing.area - (x2 - x1) * (y2 - y1)) > 1


def renamed(found: Sequence[Item]) -> Iterator[str]:
    """Pictures that have another name now, by count."""
    other = [item for item in found if Path(item.name).name != Path(item.record.image).name]
    if other:
        yield (f"renamed: {len(other)} pictures whose name another one has, "
               f"{Path(other[0].record.image).name} is {other[0].name}")  # fmt: skip


def new_folder(folder: str | Path, source: str) -> Path:
    """Make a folder that is not there or is empty; refuse any other, and one inside the data."""
    folder = Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and is never overwritten; name a new folder")
    data = Path(source).resolve()
    if data in (folder.resolve(), *folder.resolve().parents):
        raise UsageError(f"{folder} lies inside the data set; name a folder outside {source}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def place(image: str, target: Path) -> None:
    """The picture under another name: a second link to the same bytes, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(image), target)
    except OSError:
        shutil.copyfile(image, target)


def inner_name(image: str, top: str) -> str:
    """A picture's path below the folder of its part.

    >>> inner_name("set/images/val2017/a/1.png", "set"), inner_name("set/a/1.png", "set")
    ('a/1.png', 'a/1.png')
    """
    parts = Path(image).parts
    roots = [i for i, part in enumerate(parts[:-1]) if part in IMAGES]
    if not roots:
        return Path(image).relative_to(top).as_posix()
    inner = parts[roots[-1] + 1 :]
    return "/".join(inner[1:] if len(inner) > 1 and part_in(inner[0]) else inner)


def flat_name(image: str) -> str:
    """A picture's own name."""
    return Path(image).name


def _top(images: Sequence[str]) -> str:
    """The folder that holds all of some pictures."""
    return os.path.commonpath([os.path.dirname(image) for image in images]) if images else ""


def _free(name: str, image: str, taken: set[str]) -> str:
    """A name that nothing has: with the names of its picture's folders before it, else a number.

    Bytes that are no UTF-8 become question marks, for no label file can hold them.
    """
    above, _, base = name.rpartition("/")
    base = base.encode("utf-8", "replace").decode()
    stem, _, ending = base.rpartition(".")
    folders = [part for part in Path(image).parts[:-1] if part != Path(image).anchor]
    key, count = stem, 0
    while f"{above}/{key}".lower() in taken:
        count += 1
        key = "_".join([*folders[-count:], stem]) if count <= len(folders) else f"{stem}_{count}"
    taken.add(f"{above}/{key}".lower())
    return f"{above}/{key}.{ending}" if above else f"{key}.{ending}"


def example_items(folder: Path) -> list[Item]:
    """Four drawn pictures with boxes of two classes, one empty; the contract tests read them."""
    from PIL import Image, ImageDraw

    found = []
    (folder / "drawn").mkdir(parents=True)
    for i in range(4):
        image = Image.effect_noise((24 + 4 * i, 20), 40).convert("RGB")
        box = (2.0 + i, 3.0, 12.0 + 2 * i, 15.0)
        things = (Thing(i % 2, box),) if i < 3 else ()
        if things:
            ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), "red")
        file = folder / "drawn" / f"{i}.png"
        image.save(file)
        found.append(Item("train", Record(str(file), things, image.size), image.size, file.name))
    return found
