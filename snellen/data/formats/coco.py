"""COCO (Lin et al. 2014): one JSON file of images, categories and annotations for each part.

A json, or a folder with annotations/*.json and images/, or with a json beside the pictures of each
part. Boxes are x, y, width, height from the top left corner. Polygons, run lengths, crowds and key
points are read with them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import shortlist
from ..boxes import Box, Record, Thing
from ..masks import outline_fault, outline_overshoot
from ..sample import Skeleton
from ..source import Format, Problem, Source
from ._assemble import Listing, assemble
from ._captions import open_captions
from ._coco import (
    Entry,
    area_of,
    brief,
    by_part,
    entries,
    images_of,
    is_odd_area,
    joint_counts,
    joints_of,
    key_of,
    measure,
    media_of,
    skeleton_of,
    unlisted,
)
from ._json import Document, read_json
from ._judge import ROUNDING, Notes, finish, judge
from ._layout import caption_files, coco_files, damaged_files, keypoint_files, layout
from ._maps import with_maps

SWAPPED = ("has its corners swapped", "has a width or height below 0")  # in the words of a bbox


class Coco(Format):
    """A json of instances, or a folder with such files for its parts."""

    name = "coco"
    about = "COCO: a json of instances, or annotations/*.json with images/ beside"

    def detect(self, path: Path) -> bool:
        """A json with images, annotations and categories, alone or in a folder."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read the json files; pictures are not opened but where a size is missing."""
        if path.is_file():
            return open_files(path, [path])
        variants = {"pose": partial(open_files, path, keypoint_files(path))}
        if said := caption_files(path):
            variants["caption"] = partial(open_captions, path, said)
        files = coco_files(path) or damaged_files(path)
        return with_maps(open_files(path, files, variants), path)

    def example(self, folder: Path) -> Path:
        """Four pictures of two classes, one of them empty."""
        from ..convert.coco import write_example

        return write_example(folder / "tiny")


@dataclass
class Numbering:
    """Class names in the order of their ids in the first file; those of other files follow."""

    names: list[str] = field(default_factory=list)
    kinds: list[dict[str, Any]] = field(default_factory=list)  # id and supercategory of each
    called: dict[int, str] = field(default_factory=dict)  # the name of an id in the first file
    skeleton: Skeleton | None = None
    listed: set[str] = field(default_factory=set)  # pictures that some json names

    def of(self, document: Document, notes: Notes) -> dict[int, int]:
        """The categories of a file -> {id: class number}."""
        table: dict[int, str] = {}
        above: dict[int, dict[str, str]] = {}
        for line, entry in entries(document, "categories", notes):
            id, name = entry.get("id"), entry.get("name")
            if not isinstance(id, int) or not isinstance(name, str) or not name.strip():
                notes.add("label-broken-entry", f"no category: {brief(entry)}", line)
            elif id in table:
                notes.add("label-id-twice", f"category id {id} is {table[id]!r} already", line)
            else:
                if name != name.strip():
                    message = f"the class {name!r} begins or ends with a blank; read without"
                    notes.add("class-name-blanks", message, line, harm="harmless")
                table[id] = name.strip()
                group = entry.get("supercategory")
                above[id] = {"supercategory": group} if group and isinstance(group, str) else {}
                self._same_name(table, id, line, notes)
                self._other_name(table, id, line, notes)
        for id in sorted(table):
            if table[id] not in self.names:
                self.names.append(table[id])
                self.kinds.append({"id": id, **above[id]})
        self.called = table | self.called
        return {id: self.names.index(name) for id, name in table.items()}

    def _other_name(self, table: dict[int, str], id: int, line: int, notes: Notes) -> None:
        name, before = table[id], self.called.get(id, table[id])
        if name != before:
            message = (
                f"category id {id} is {name!r} here and {before!r} in another part; ids go by name"
            )
            harm = "suspect" if name in self.names else "harmful"
            notes.add(
                "label-id-twice", message, line, harm=harm, do="give a class one id and one name"
            )

    def _same_name(self, table: dict[int, str], id: int, line: int, notes: Notes) -> None:
        twin = next((k for k, name in table.items() if name == table[id] and k != id), None)
        if twin is not None:
            message = f"categories {twin} and {id} are both called {table[id]!r}; read as one class"
            notes.add("label-id-twice", message, line, harm="suspect")


def open_files(
    path: Path, files: Sequence[Path], variants: Mapping[str, Callable[[], Source]] | None = None
) -> Source:
    """The json files of a data set, one a part -> Source."""
    whole = Numbering()
    listings = {part: read_instances(file, path, part, whole)
                for part, file in by_part(path, files).items()}  # fmt: skip
    problems = [*_idle_groups(path, whole, listings), *unlisted(whole.listed)]
    source = assemble(path, Coco.name, whole.names, listings, problems)
    return replace(source, skeleton=whole.skeleton, categories=tuple(whole.kinds),
                   variants=variants or {})  # fmt: skip


def _idle_groups(
    path: Path, whole: Numbering, listings: Mapping[str, Listing]
) -> Iterator[Problem]:  # fmt: skip
    """Leave out categories that only name what others belong to, as Roboflow's category 0 does."""
    records = [record for listing in listings.values() for record in listing.records]
    used = {thing.label for record in records for thing in record.things}
    groups = {kind.get("supercategory") for kind, name in zip(whole.kinds, whole.names, strict=True)
              if kind.get("supercategory") != name}  # fmt: skip
    idle = {k for k, name in enumerate(whole.names) if k not in used and name in groups}
    if not idle:
        return
    for k in sorted(idle):
        message = (
            f"the category {whole.names[k]!r} has no object and is the supercategory of others"
        )
        yield Problem("class-empty", f"{message}; it is no class", "harmless", str(path))
    kept = [k for k in range(len(whole.names)) if k not in idle]
    whole.names, whole.kinds = [whole.names[k] for k in kept], [whole.kinds[k] for k in kept]
    for listing in listings.values():
        listing.records = [replace(record, things=tuple(
            replace(thing, label=kept.index(thing.label)) for thing in record.things
        )) for record in listing.records]  # fmt: skip


def read_instances(file: Path, root: Path, part: str, whole: Numbering) -> Listing:
    """A json -> its records with their problems; classes are numbered by the whole data set."""
    document, notes = read_json(file), Notes(str(file))
    numbers = whole.of(document, notes)
    whole.skeleton = whole.skeleton or skeleton_of(document, notes)
    images = images_of(document, notes, media_of(file, root, part))
    whole.listed |= {image.path for image in images.values() if image is not None}
    joints = joint_counts(document)
    seen: dict[Any, int] = {}
    for line, entry in entries(document, "annotations", notes):
        id, image = key_of(entry.get("id")), key_of(entry.get("image_id"))
        if id in seen:
            message = f"annotation id {id} is in line {seen[id]} already; both are read"
            notes.add("label-id-twice", message, line, do="number them anew")
        elif id is not None:
            seen[id] = line
        if image not in images:
            message = f"annotation {id} is of image {entry.get('image_id')!r}, which is not there"
            notes.add("label-orphan", f"{message}; it is dropped", line)
        elif (there := images[image]) is not None:
            there.num_read += 1
            thing = _thing(entry, line, there, numbers, joints)
            there.things += [thing] if thing else []
    listing = Listing(problems=notes.found)
    for there in sorted(images.values(), key=_in_cocos_order):
        if there is not None:
            record = Record(there.path, tuple(there.things), there.size, str(file), there.line,
                            id=there.id)  # fmt: skip
            done = finish(record, there.num_read, there.notes)
            listing.take(done, there.notes.found)
    empty = [Path(record.image).name for record in listing.records if not record.things]
    if empty:
        message = f"{len(empty)} images have no object and are kept: {shortlist(empty, 5)}"
        listing.problems.append(Problem("label-no-objects", message, "harmless", str(file)))
    return listing


def _in_cocos_order(image: Entry | None) -> tuple[bool, Any]:
    """By the ids, as pycocotools counts pictures: of equal scores the first one is the better."""
    id = image.id if image is not None else 0
    return isinstance(id, str), id


def _thing(
    entry: Mapping[str, Any], line: int, image: Entry, numbers: Mapping[int, int],
    joints: Mapping[int, int],
) -> Thing | None:  # fmt: skip
    notes, id = image.notes, entry.get("id")
    label = numbers.get(key_of(entry.get("category_id")))
    if label is None:
        message = f"annotation {id} has category {entry.get('category_id')!r}, which is none"
        notes.add("label-unknown-class", f"{message}; it is dropped", line)
    raw = _corners(entry, line, notes)
    if raw is None:
        return None
    x, y, width, height = raw
    box = (x, y, x + width, y + height)
    if image.size and (box[2] > image.size[0] + 1 or box[3] > image.size[1] + 1):
        measure(image, notes)
    kept, faults = judge(box, image.size, raw)
    for fault, message, harm in faults:
        words = message.replace(*SWAPPED)
        notes.add(fault, f"annotation {id}: {words}", line, harm=harm)
    if kept is None or label is None:
        return None
    if entry.get("iscrowd", 0) not in (0, 1):
        message = f"annotation {id} has iscrowd {brief(entry['iscrowd'])}, not 0 or 1; read as 0"
        notes.add("label-broken-entry", message, line, harm="suspect")
    if is_odd_area(entry.get("area")):
        message = (
            f"annotation {id} has area {brief(entry['area'])}; that of its outline or box counts"
        )
        notes.add("label-broken-entry", message, line, harm="suspect")
    points = joints_of(entry, line, notes, joints.get(key_of(entry.get("category_id")), 0))
    return Thing(label, kept, line, entry.get("iscrowd") == 1, _outline(entry, line, image), points,
                 area_of(entry), key_of(id))  # fmt: skip


def _outline(entry: Mapping[str, Any], line: int, image: Entry) -> Any:
    """The segmentation of an annotation, None where there is none that can be drawn."""
    outline, id = entry.get("segmentation") or None, entry.get("id")
    fault = outline_fault(outline, image.size) if outline else ""
    if fault:
        image.notes.add("mask-broken", f"annotation {id} has {fault}; its box is kept", line)
        return None
    over = outline_overshoot(outline, image.size) if outline and image.size else 0.0
    if over > ROUNDING:
        message = f"annotation {id} has a polygon that ends {over:.3g} beyond its image; it is cut"
        image.notes.add("mask-outside", message, line, harm="suspect")
    return outline


def _corners(entry: Mapping[str, Any], line: int, notes: Notes) -> Box | None:
    """x, y, width, height of an annotation; around its polygons where it has no box."""
    box = entry.get("bbox")
    outline = entry.get("segmentation")
    if box is None and isinstance(outline, list) and outline and not outline_fault(outline, None):
        xs = [v for polygon in outline for v in polygon[::2]]
        ys = [v for polygon in outline for v in polygon[1::2]]
        if "bbox" in entry:
            message = f"annotation {entry.get('id')} has bbox null; its outline's box is taken"
            notes.add("label-broken-entry", message, line, harm="suspect")
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    id = entry.get("id")
    if box is None:
        notes.add("box-missing", f"annotation {id} has no bbox; it is dropped", line)
    elif not isinstance(box, list) or len(box) != 4:
        count = len(box) if isinstance(box, list) else "no"
        message = f"annotation {id}: a bbox of {count} numbers, not 4; it is dropped"
        notes.add("label-columns", message, line)
    elif not set(map(type, box)) <= {int, float}:
        message = f"annotation {id}: a bbox of {brief(box)}, not of numbers; it is dropped"
        notes.add("box-not-a-number", message, line)
    else:
        x, y, width, height = (float(v) if abs(v) < 1e300 or v != v else float("inf") for v in box)
        return x, y, width, height
    return None


FORMATS = {"coco": Coco()}
