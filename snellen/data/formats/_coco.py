"""What COCO's kinds of json share: images and where they lie, entries with lines, skeletons."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import DataError, shortlist
from ..boxes import Thing, image_size
from ..masks import are_numbers
from ..sample import Skeleton
from ..source import Problem
from ._json import Document
from ._judge import Notes
from ._layout import IMAGES, part_in
from ._media import Media, leaves, pictures
from ._parts import PARTS
from ._skeleton import mirror_of

Size = tuple[int, int]


def by_part(path: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The json files of a data set -> {part: file}; raises DataError where a part has two."""
    if len(files) == 1:
        return {"train": files[0]}
    parts: dict[str, Path] = {}
    for file in files:
        above = part_in(file.parent.name) if file.parent != path else None
        part = part_in(file.stem) or above or "train"
        if part in parts:
            raise DataError(f"{path} has {parts[part].name} and {file.name} for {part}; name "
                            "the one to read, with val= for the other")  # fmt: skip
        parts[part] = file
    return {part: parts[part] for part in PARTS if part in parts}


@dataclass
class Entry:
    """An image of the json while its annotations are gathered."""

    path: str
    size: Size | None
    line: int
    notes: Notes
    id: Any = None
    things: list[Thing] = field(default_factory=list)
    num_read: int = 0
    is_measured: bool = False


def images_of(document: Document, notes: Notes, media: Media) -> dict[Any, Entry | None]:
    """{id: Entry}, None where its picture cannot be had."""
    images: dict[Any, Entry | None] = {}
    names: dict[str, int] = {}
    for line, entry in entries(document, "images", notes):
        id, name = key_of(entry.get("id")), entry.get("file_name")
        if id is None or not isinstance(name, str) or not name:
            notes.add("label-broken-entry", f"no image: {brief(entry)}; it is left out", line)
        elif id in images:
            notes.add(
                "label-id-twice",
                f"image id {id} is there already; it is left out",
                line,
                do="number the images anew",
            )
        elif names.setdefault(name, line) != line:
            message = f"{name!r} is in line {names[name]} already; this entry is left out"
            notes.add("file-listed-twice", message, line, do="make the two entries one")
            images[id] = None
        else:
            path = None if leaves(name) else media.find(name)
            size = _size(entry)
            if size is None and {"width", "height"} & set(entry):
                said = f"{brief(entry.get('width'))} x {brief(entry.get('height'))}"
                message = f"a size of {said} is none; the picture's own is taken"
                notes.add("label-size-wrong", message, line, harm="suspect")
            if path is None:
                _missing(name, line, notes)
            images[id] = path and Entry(path, size, line, Notes(notes.file), id)  # type: ignore
            if path and size is None:
                measure(images[id], notes)  # type: ignore
    return images


def _missing(name: str, line: int, notes: Notes) -> None:
    if leaves(name):
        message = f"its image {name!r} lies outside the data set; it is not read"
        notes.add("path-outside", message, line)
    else:
        message = f"its image {name!r} is not there; it is left out with its boxes"
        notes.add("file-missing", message, line, do="restore it or remove the entry")


def media_of(file: Path, root: Path, part: str) -> Media:
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


def measure(image: Entry, notes: Notes) -> None:
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


def entries(document: Document, key: str, notes: Notes) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a list of the json; what is no object is said and passed over."""
    entries = document.values.get(key)
    if not isinstance(entries, list):
        raise DataError(f"{notes.file} has no list of {key}; COCO's form is wanted")
    for line, entry in zip(document.lines[key], entries, strict=True):
        if isinstance(entry, dict):
            yield line, entry
        else:
            notes.add("label-broken-entry", f"an entry of {key} is {brief(entry)}", line)


def key_of(value: Any) -> Any:
    """An id that can be looked up; None where it is no number and no word."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unlisted(listed: set[str]) -> list[Problem]:
    """Pictures beside those of the json that no json names, said once for each folder."""
    problems = []
    for folder in sorted({os.path.dirname(file) for file in listed}):
        files = [file for each in pictures(Path(folder)).values() for file in each]
        alone = [os.path.basename(file) for file in files if file not in listed]
        if alone:
            message = (
                f"{len(alone)} pictures are in no json and are not read: {shortlist(alone, 5)}"
            )
            problems.append(Problem("file-not-listed", message, "harmless", folder))
    return problems


def joint_counts(document: Document) -> dict[Any, int]:
    """{category id: how many joints it names}, where it names any."""
    return {
        entry["id"]: len(entry["keypoints"])
        for entry in document.values["categories"]
        if isinstance(entry, dict)
        and key_of(entry.get("id")) is not None
        and isinstance(entry.get("keypoints"), list)
    }


def joints_of(
    entry: Mapping[str, Any], line: int, notes: Notes, count: int
) -> tuple[float, ...]:  # fmt: skip
    """x, y, v of the joints of an annotation, () where they are broken; `count` 0 is not known."""
    joints = entry.get("keypoints") or []
    fault = ""
    if not isinstance(joints, list) or len(joints) % 3 or not are_numbers(joints):
        fault = "keypoints are no list of x, y, v"
    elif joints and count and len(joints) != 3 * count:
        fault = f"{len(joints)} numbers of keypoints where {count} joints have {3 * count}"
    elif not set(joints[2::3]) <= {0, 1, 2}:
        odd = next(v for v in joints[2::3] if v not in (0, 1, 2))
        fault = f"a key point of visibility {odd}, which is 0, 1 or 2"
    if fault:
        message = f"annotation {entry.get('id')}: {fault}; they are dropped"
        notes.add("keypoints-broken", message, line)
        return ()
    return tuple(float(v) for v in joints)


def area_of(entry: Mapping[str, Any]) -> float | None:
    """The area that an annotation says, None where that is none.

    >>> area_of({"area": 12}), area_of({"area": 0}), area_of({})
    (12.0, None, None)
    """
    area = entry.get("area")
    is_one = are_numbers([area]) and 0 < area < 1e300  # type: ignore[operator]
    return float(area) if is_one else None  # type: ignore[arg-type]


def is_odd_area(area: Any) -> bool:
    """Whether something is said that is no area; 0 is what tools write that know none.

    >>> is_odd_area("nan"), is_odd_area(-4), is_odd_area(0), is_odd_area(None), is_odd_area(2.5)
    (True, True, False, False, False)
    """
    return area is not None and area != 0 and area_of({"area": area}) is None


def skeleton_of(document: Document, notes: Notes) -> Skeleton | None:
    """The joints of the first category that has any; bones count from 1 in the file."""
    for line, entry in entries(document, "categories", notes):
        joints = entry.get("keypoints")
        if not isinstance(joints, list) or not joints:
            continue
        names = tuple(str(name) for name in joints)
        bones = entry.get("skeleton") or []
        known = [bone for bone in bones if _is_bone(bone, len(names))] if (
            isinstance(bones, list)) else []  # fmt: skip
        if not isinstance(bones, list) or len(known) < len(bones):
            message = f"a skeleton with bones that are no two of 1..{len(names)}; they are left out"
            notes.add("skeleton-broken", message, line, harm="suspect")
        return Skeleton(names, tuple((a - 1, b - 1) for a, b in known), mirror_of(names))
    return None


def _is_bone(bone: Any, count: int) -> bool:
    is_pair = isinstance(bone, list) and len(bone) == 2
    return is_pair and all(type(end) is int and 1 <= end <= count for end in bone)
