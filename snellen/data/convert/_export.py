"""What every writer does: a folder of its own, linked or copied pictures, unique names."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...core import registry
from ...core.errors import DataError, UsageError
from ..boxes import BoxSet, Record
from ..source import SampleSet, Source

FACTS = {"outlines": "outlines", "keypoints": "skeletons", "ignored": "marks of crowds"}
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
        """The name without its ending."""
        return self.name.rpartition(".")[0]


def parts_of(source: Source) -> dict[str, SampleSet]:
    """The parts that a source has."""
    named = {part: getattr(source, part) for part in PARTS}
    return {part: samples for part, samples in named.items() if samples is not None}


def items(source: Source) -> Iterator[Item]:
    """A source of boxes -> its records in pixels, under names that are unique; DataError else.

    A picture that cannot be read has no size and is passed over; `unreadable` names it.
    """
    taken: set[str] = set()
    for part, samples in parts_of(source).items():
        if not isinstance(samples, BoxSet):
            raise DataError(f"{source.name} has classes and no boxes; only --to csv writes those")
        for i in range(len(samples)):
            try:
                record, size = samples.record(i), samples.size(i)
            except DataError:
                continue
            yield Item(part, record, size, _free(Path(record.image), taken))


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
    for fact in registry.collect("snellen.data.convert", "LOSES").get(format, ()):
        if source.facts.get(fact):
            yield f"left out: {source.facts[fact]} {FACTS[fact]}, which {format} has no place for"


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


def _free(path: Path, taken: set[str]) -> str:
    """The picture's name, with its folder's before it where the stem is taken."""
    folders = [part for part in path.parts[:-1] if part != path.anchor]
    stem, count = path.stem, 0
    while stem.lower() in taken:
        count += 1
        stem = "_".join([*folders[-count:], path.stem]) if count <= len(folders) else (
            f"{path.stem}_{count}")  # fmt: skip
    taken.add(stem.lower())
    return stem + path.suffix


def example_items(folder: Path) -> list[Item]:
    """Four drawn pictures with boxes of two classes, one empty; the contract tests read them."""
    from PIL import Image, ImageDraw

    from ..boxes import Thing

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
