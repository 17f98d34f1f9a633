"""A source of boxes -> COCO: annotations/instances_<part>.json and images/<part>/."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..boxes import Thing
from ..masks import outline_area
from ..sample import Skeleton
from ..source import Source
from ._export import Item, example_items, items, place, renamed


def write(source: Source, folder: Path) -> list[str]:
    """Everything that was read: boxes, outlines, crowds, key points, empty pictures, and COCO's own
    ids, areas and supercategories.
    """
    found = list(items(source))
    anew = write_items(found, source.classes, folder, source.skeleton, source.categories)
    return [*renamed(found), *anew]


def write_items(
    found: Sequence[Item], classes: Sequence[str], folder: Path,
    skeleton: Skeleton | None = None, categories: Sequence[Mapping[str, Any]] = (),
) -> list[str]:  # fmt: skip
    """Items -> a json for each part; which of the ids that they had are other ones now."""
    kinds = categories or [{}] * len(classes)
    anew = Renumbered()
    class_ids = anew.ids("categories", [kind.get("id") for kind in kinds])
    jointed = {t.label for item in found for t in item.record.things if t.keypoints}
    bodies = [_body(skeleton if k in jointed or not jointed else None) for k in range(len(classes))]
    names = [
        {**kind, "id": id, "name": name, **body}
        for kind, id, name, body in zip(kinds, class_ids, classes, bodies, strict=True)
    ]
    (folder / "annotations").mkdir(parents=True)
    for part in dict.fromkeys(item.part for item in found):
        its = [item for item in found if item.part == part]
        document = {**_entries(its, class_ids, anew), "categories": names}
        file = folder / "annotations" / f"instances_{part}.json"
        file.write_text(as_lines(document), encoding="utf-8")
        for item in its:
            place(item.record.image, folder / "images" / part / item.name)
    return list(anew.said())


def _entries(
    its: Sequence[Item], class_ids: Sequence[Any], anew: "Renumbered"
) -> dict[str, list[Any]]:
    """The images and annotations of a part."""
    image_ids = anew.ids("images", [item.record.id for item in its])
    thing_ids = iter(anew.ids("annotations", [t.id for item in its for t in item.record.things]))
    return {
        "images": [
            {"id": id, "file_name": item.name, "width": item.size[0], "height": item.size[1]}
            for id, item in zip(image_ids, its, strict=True)
        ],
        "annotations": [
            {"id": next(thing_ids), "image_id": id, "category_id": class_ids[thing.label],
             **annotation(thing)}
            for id, item in zip(image_ids, its, strict=True) for thing in item.record.things
        ],
    }  # fmt: skip


class Renumbered:
    """Ids as they were where each is there once, else from 1; counts what is numbered anew.

    >>> anew = Renumbered()
    >>> anew.ids("images", [7, 4]), anew.ids("images", [7, 7]), anew.ids("images", [None])
    ([7, 4], [1, 2], [1])
    >>> list(anew.said())
    ['numbered anew: 2 images, some of whose ids are given twice']
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def ids(self, of: str, given: Sequence[Any]) -> list[Any]:
        """Ids that were given, None where none was -> ids to be written."""
        known = [id for id in given if id is not None]
        if len(set(known)) == len(given):
            return known
        if known:
            self.counts[of] = self.counts.get(of, 0) + len(given)
        return list(range(1, len(given) + 1))

    def said(self) -> Iterator[str]:
        """A line for each kind of what has other ids now."""
        for of, count in self.counts.items():
            yield f"numbered anew: {count} {of}, some of whose ids are given twice"


def annotation(thing: Thing) -> dict[str, Any]:
    """A thing in COCO's words.

    >>> annotation(Thing(0, (1.0, 2.0, 4.0, 6.0)))["bbox"]
    [1.0, 2.0, 3.0, 4.0]
    """
    x1, y1, x2, y2 = thing.box
    own = outline_area(thing.outline) if thing.outline else (x2 - x1) * (y2 - y1)
    said: dict[str, Any] = {
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": own if thing.area is None else thing.area,
        "iscrowd": int(thing.ignored),
        "segmentation": thing.outline or [],
    }
    if thing.keypoints:
        joints = [int(v) if i % 3 == 2 else v for i, v in enumerate(thing.keypoints)]
        said |= {"keypoints": joints, "num_keypoints": sum(v > 0 for v in joints[2::3])}
    return said


def _body(skeleton: Skeleton | None) -> dict[str, Any]:
    """A skeleton in COCO's words: bones count from 1."""
    if skeleton is None:
        return {}
    bones = [[a + 1, b + 1] for a, b in skeleton.bones]
    return {"keypoints": list(skeleton.joints), "skeleton": bones}


def as_lines(document: dict[str, list]) -> str:
    """JSON with an entry a line, so that a problem's line says which."""
    parts = []
    for key, entries in document.items():
        rows = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        parts.append(f'"{key}": [\n{rows}\n]' if rows else f'"{key}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_example(folder: Path) -> Path:
    """A tiny data set in this form."""
    write_items(example_items(folder.with_name("source")), ("ball", "box"), folder)
    return folder


WRITERS = {"coco": write}
