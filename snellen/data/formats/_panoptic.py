"""Reading COCO's panoptic json: what the numbers in the maps beside it mean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ..images import is_image_name
from ..panoptic import PanopticSet, Panorama, Segment
from ..relabel import Relabelled
from ..source import Source
from ._coco import Entry, brief, by_part, entries, images_of, key_of, media_of
from ._folders import channels_of
from ._json import Document, read_json
from ._judge import Notes
from ._parts import join_parts

OF_THINGS = ("detect", "instances", "localise", "tag")  # tasks that know no ground


def open_panoptic(path: Path, files: Sequence[Path]) -> Source:
    """The json files of a data set, one a part -> Source."""
    parts = {part: read_panoptic(file, path, part) for part, file in by_part(path, files).items()}
    source = join_parts(str(path), "panoptic", parts)
    things = parts["train"].train.things  # type: ignore[attr-defined]
    return replace(source, variants=dict.fromkeys(OF_THINGS, partial(_things, source, things)))


def _things(source: Source, is_thing: Sequence[bool]) -> Source:
    """The source with the classes of things alone."""
    names = [name for name, is_one in zip(source.classes, is_thing, strict=True) if is_one]
    table = [names.index(name) if name in names else -1 for name in source.classes]
    val, test = (part and Relabelled(part, table) for part in (source.val, source.test))
    return replace(source, train=Relabelled(source.train, table), val=val, test=test,
                   classes=tuple(names), variants={})  # fmt: skip


def read_panoptic(file: Path, root: Path, part: str) -> Source:
    """A json -> a source with its pictures as train."""
    document, notes = read_json(file), Notes(str(file))
    classes = _classes(document, notes)
    numbers = {id: k for k, id in enumerate(classes)}
    images = images_of(document, notes, media_of(file, root, part))
    maps, found = _map_folder(file), []
    for line, entry in entries(document, "annotations", notes):
        image = images.get(key_of(entry.get("image_id")))
        if image is None:
            if key_of(entry.get("image_id")) not in images:
                message = f"segments of image {entry.get('image_id')!r}, which is not there"
                notes.add("label-orphan", f"{message}; they are left out", line)
            continue
        picture = _panorama(entry, line, image, maps, numbers, classes, notes)
        if picture is not None:
            found.append(picture)
    told = {picture.image for picture in found}
    for image in images.values():
        if image is not None and image.path not in told:
            message = f"{Path(image.path).name} has no segments; it is left out"
            notes.add("label-missing", message, image.line)
    if not found:
        first = f"; the first problem: {notes.found[0]}" if notes.found else ""
        raise DataError(f"{file} has no picture with segments{first}")
    channels = channels_of([picture.image for picture in found])
    facts = {"images": len(found), "channels": channels,
             "segments": sum(len(picture.segments) for picture in found)}  # fmt: skip
    names = tuple(name for name, _ in classes.values())
    things = tuple(is_thing for _, is_thing in classes.values())
    problems = tuple(notes.found)
    return Source(str(file), "panoptic", PanopticSet(found, channels, things), names,
                  problems=problems, facts=facts)  # fmt: skip


def _classes(document: Document, notes: Notes) -> dict[Any, tuple[str, bool]]:
    """{category id: (name, is a thing)} in the order of ids."""
    found: dict[Any, tuple[str, bool]] = {}
    for line, entry in entries(document, "categories", notes):
        id, name = key_of(entry.get("id")), entry.get("name")
        if id is None or not isinstance(name, str):
            notes.add("label-broken-entry", f"no category: {brief(entry)}", line)
        elif id in found:
            notes.add("label-id-twice", f"category id {id} is {found[id][0]!r} already", line)
        else:
            found[id] = (name.strip(), entry.get("isthing", 1) == 1)
    return dict(sorted(found.items(), key=lambda item: (str(type(item[0])), item[0])))


def _map_folder(file: Path) -> Path:
    """Where the PNGs of a json lie: in a folder of its name, perhaps beside its own folder."""
    word = file.stem.split("_")[0]
    places = [up / name for up in (file.parent, file.parent.parent)
              for name in (file.stem, word, "panoptic")]  # fmt: skip
    return next((place for place in places if place.is_dir()), file.parent)


def _panorama(
    entry: Mapping[str, Any], line: int, image: Entry, maps: Path,
    numbers: Mapping[Any, int], classes: Mapping[Any, tuple[str, bool]], notes: Notes,
) -> Panorama | None:  # fmt: skip
    name, said = entry.get("file_name"), entry.get("segments_info")
    if not isinstance(name, str) or not is_image_name(name) or not isinstance(said, list):
        notes.add("label-broken-entry", f"no segments: {brief(entry)}; left out", line)
        return None
    map = maps / Path(name).name
    if not map.is_file():
        notes.add("file-missing", f"its map {name!r} is not in {maps}; it is left out", line)
        return None
    segments = {}
    for one in said:
        id, kind = (one.get("id"), key_of(one.get("category_id"))) if isinstance(one, dict) else (
            None, None)  # fmt: skip
        if kind not in numbers or not isinstance(id, int) or id in segments:
            what = "a second time" if id in segments else "with no known category"
            notes.add(
                "label-unknown-class", f"segment {id!r} {what}; its picture is left out", line
            )
            return None
        crowd = one.get("iscrowd") == 1
        segments[id] = Segment(id, numbers[kind], classes[kind][1], crowd, line)
    return Panorama(image.path, str(map), tuple(segments.values()), notes.file, line)
