"""COCO (Lin et al. 2014): one JSON file of images, categories and annotations for each part.

A json, or a folder with annotations/*.json and images/, or with a json beside the pictures of each
part. Boxes are x, y, width, height from the top left corner. Polygons, run lengths, crowds and key
points are read with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import DataError, shortlist
from ..boxes import Box, Record, Thing, image_size
from ..masks import are_numbers, outline_fault
from ..source import Format, Problem, Source
from ._assemble import Listing, assemble
from ._json import Document, read_json
from ._judge import Notes, finish, judge
from ._layout import IMAGES, coco_files, layout, part_in
from ._media import Media, leaves

Size = tuple[int, int]


class Coco(Format):
    """A json of instances, or a folder with such files for its parts."""

    name = "coco"
    about = "COCO: a json of instances, or annotations/*.json with images/ beside"

    def detect(self, path: Path) -> bool:
        """A json with images, annotations and categories, alone or in a folder."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read the json files; pictures are not opened but where a size is missing."""
        files = [path] if path.is_file() else coco_files(path)
        parts = {} if len(files) > 1 else {"train": files[0]}
        for file in files if len(files) > 1 else ():
            above = part_in(file.parent.name) if file.parent != path else None
            part = part_in(file.stem) or above or "train"
            if part in parts:
                raise DataError(f"{path} has {parts[part].name} and {file.name} for {part}; name "
                                "the one to read, with val= for the other")  # fmt: skip
            parts[part] = file
        whole = Numbering()
        listings = {part: read_instances(parts[part], path, part, whole)
                    for part in sorted(parts, key=("train", "val", "test").index)}  # fmt: skip
        return assemble(path, self.name, whole.names, listings)

    def example(self, folder: Path) -> Path:
        """Four pictures of two classes, one of them empty."""
        from ..convert.coco import write_example

        return write_example(folder / "tiny")


@dataclass
class Numbering:
    """Class names in the order of their ids in the first file; those of other files follow."""

    names: list[str] = field(default_factory=list)

    def of(self, document: Document, notes: Notes) -> dict[int, int]:
        """The categories of a file -> {id: class number}."""
        table: dict[int, str] = {}
        for line, entry in _entries(document, "categories", notes):
            id, name = entry.get("id"), entry.get("name")
            if not isinstance(id, int) or not isinstance(name, str) or not name.strip():
                notes.add("label-broken-entry", f"no category: {_brief(entry)}", line)
            elif id in table:
                notes.add("label-id-twice", f"category id {id} is {table[id]!r} already", line)
            else:
                if name != name.strip():
                    message = f"the class {name!r} begins or ends with a blank; read without"
                    notes.add("class-name-blanks", message, line, harm="harmless")
                table[id] = name.strip()
        for id in sorted(table):
            if table[id] not in self.names:
                self.names.append(table[id])
        return {id: self.names.index(name) for id, name in table.items()}


@dataclass
class Entry:
    """An image of the json while its annotations are gathered."""

    path: str
    size: Size | None
    line: int
    notes: Notes
    things: list[Thing] = field(default_factory=list)
    num_read: int = 0
    is_measured: bool = False


def read_instances(file: Path, root: Path, part: str, whole: Numbering) -> Listing:
    """A json -> its records with their problems; classes are numbered by the whole data set."""
    document, notes = read_json(file), Notes(str(file))
    numbers = whole.of(document, notes)
    images = _images(document, notes, _media(file, root, part))
    seen: dict[Any, int] = {}
    for line, entry in _entries(document, "annotations", notes):
        id, image = entry.get("id"), _key(entry.get("image_id"))
        if id is not None and seen.setdefault(_key(id), line) != line:
            message = f"annotation id {id} is in line {seen[_key(id)]} already; both are read"
            notes.add("label-id-twice", message, line, do="number them anew")
        if image not in images:
            message = f"annotation {id} is of image {entry.get('image_id')!r}, which is not there"
            notes.add("label-orphan", f"{message}; it is dropped", line)
        elif (there := images[image]) is not None:
            there.num_read += 1
            thing = _thing(entry, line, there, numbers)
            there.things += [thing] if thing else []
    listing = Listing(problems=notes.found)
    for there in images.values():
        if there is not None:
            record = Record(there.path, tuple(there.things), there.size, str(file), there.line)
            done = finish(record, there.num_read, there.notes)
            listing.take(done, there.notes.found)
    empty = [Path(record.image).name for record in listing.records if not record.things]
    if empty:
        message = f"{len(empty)} images have no object and are kept: {shortlist(empty, 5)}"
        listing.problems.append(Problem("label-no-objects", message, "harmless", str(file)))
    return listing


def _images(document: Document, notes: Notes, media: Media) -> dict[Any, Entry | None]:
    """{id: Entry}, None where its picture cannot be had."""
    images: dict[Any, Entry | None] = {}
    names: dict[str, int] = {}
    for line, entry in _entries(document, "images", notes):
        id, name = _key(entry.get("id")), entry.get("file_name")
        if id is None or not isinstance(name, str) or not name:
            notes.add("label-broken-entry", f"no image: {_brief(entry)}; it is left out", line)
        elif id in images:
            notes.add("label-id-twice", f"image id {id} is there already; it is left out", line)
        elif names.setdefault(name, line) != line:
            message = f"{name!r} is in line {names[name]} already; this entry is left out"
            notes.add("file-listed-twice", message, line, do="make the two entries one")
            images[id] = None
        else:
            path = None if leaves(name) else media.find(name)
            size = _size(entry)
            if path is None:
                _missing(name, line, notes)
            images[id] = path and Entry(path, size, line, Notes(notes.file))  # type: ignore
            if path and size is None:
                _measure(images[id], notes)  # type: ignore
    return images


def _missing(name: str, line: int, notes: Notes) -> None:
    if leaves(name):
        message = f"its image {name!r} lies outside the data set; it is not read"
        notes.add("path-outside", message, line)
    else:
        message = f"its image {name!r} is not there; it is left out with its boxes"
        notes.add("file-missing", message, line, do="restore it or remove the entry")


def _thing(
    entry: Mapping[str, Any], line: int, image: Entry, numbers: Mapping[int, int]
) -> Thing | None:
    notes, id = image.notes, entry.get("id")
    label = numbers.get(_key(entry.get("category_id")))
    if label is None:
        message = f"annotation {id} has category {entry.get('category_id')!r}, which is none"
        notes.add("label-unknown-class", f"{message}; it is dropped", line)
    raw = _corners(entry, line, notes)
    if raw is None:
        return None
    x, y, width, height = raw
    box = (x, y, x + width, y + height)
    if image.size and (box[2] > image.size[0] + 1 or box[3] > image.size[1] + 1):
        _measure(image, notes)
    kept, faults = judge(box, image.size, raw)
    for fault, message, harm in faults:
        notes.add(fault, f"annotation {id}: {message}", line, harm=harm)
    if kept is None or label is None:
        return None
    outline = entry.get("segmentation") or None
    fault = outline_fault(outline, image.size) if outline else ""
    if fault:
        notes.add("mask-broken", f"annotation {id} has {fault}; its box is kept", line)
        outline = None
    joints = _joints(entry, line, notes)
    return Thing(label, kept, line, entry.get("iscrowd") == 1, outline, joints)


def _corners(entry: Mapping[str, Any], line: int, notes: Notes) -> Box | None:
    """x, y, width, height of an annotation; around its polygons where it has no box."""
    box = entry.get("bbox")
    outline = entry.get("segmentation")
    if box is None and isinstance(outline, list) and outline and not outline_fault(outline, None):
        xs = [v for polygon in outline for v in polygon[::2]]
        ys = [v for polygon in outline for v in polygon[1::2]]
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    id = entry.get("id")
    if box is None:
        notes.add("box-missing", f"annotation {id} has no bbox; it is dropped", line)
    elif not isinstance(box, list) or len(box) != 4:
        count = len(box) if isinstance(box, list) else "no"
        message = f"annotation {id}: a bbox of {count} numbers, not 4; it is dropped"
        notes.add("label-columns", message, line)
    elif not set(map(type, box)) <= {int, float}:
        message = f"annotation {id}: a bbox of {_brief(box)}, not of numbers; it is dropped"
        notes.add("box-not-a-number", message, line)
    else:
        x, y, width, height = (float(v) if abs(v) < 1e300 or v != v else float("inf") for v in box)
        return x, y, width, height
    return None


def _joints(entry: Mapping[str, Any], line: int, notes: Notes) -> tuple[float, ...]:
    joints = entry.get("keypoints") or []
    if not isinstance(joints, list) or len(joints) % 3 or not are_numbers(joints):
        message = (
            f"annotation {entry.get('id')}: keypoints are no list of x, y, v; they are dropped"
        )
        notes.add("keypoints-broken", message, line)
        return ()
    return tuple(float(v) for v in joints)


def _media(file: Path, root: Path, part: str) -> Media:
    """Where the pictures of a json may lie: images/<part>, <part>, images, beside it."""
    top = root if root.is_dir() else file.parent
    if top.name == "annotations":
        top = top.parent
    names = [part, *(w for w in (f"{part}2017", f"{part}2014"))]
    word = file.stem.rpartition("_")[2]
    places = [top / folder / name for folder in (*IMAGES, ".") for name in (word, *names)]
    places += [file.parent, *(top / folder for folder in IMAGES), top]
    return Media(top, [place for place in places if place.is_dir()])


def _size(entry: Mapping[str, Any]) -> Size | None:
    width, height = entry.get("width"), entry.get("height")
    is_size = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return (width, height) if is_size else None  # type: ignore[return-value]


def _measure(image: Entry, notes: Notes) -> None:
    """Take the picture's own size, and say where the json has another."""
    if image.is_measured:
        return
    image.is_measured, said = True, image.size
    try:
        image.size = image_size(image.path)
    except DataError:
        return  # the audit names the picture
    if said and said != image.size:
        have = f"{image.size[0]} x {image.size[1]}"
        message = f"{Path(image.path).name} is {have} and not {said[0]} x {said[1]} as said here"
        image.notes.add("label-size-wrong", message, image.line)


def _entries(document: Document, key: str, notes: Notes) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a list of the json; what is no object is said and passed over."""
    entries = document.values.get(key)
    if not isinstance(entries, list):
        raise DataError(f"{notes.file} has no list of {key}; COCO's form is wanted")
    for line, entry in zip(document.lines[key], entries, strict=True):
        if isinstance(entry, dict):
            yield line, entry
        else:
            notes.add("label-broken-entry", f"an entry of {key} is {_brief(entry)}", line)


def _key(value: Any) -> Any:
    """An id that can be looked up; None where it is no number and no word."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


FORMATS = {"coco": Coco()}
