"""A source of boxes -> COCO: annotations/instances_<part>.json and images/<part>/."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..boxes import Thing
from ..masks import outline_area
from ..sample import Skeleton
from ..source import Source
from ._export import Item, example_items, items, place, renamed


def write(source: Source, folder: Path) -> list[str]:
    """Everything that was read: boxes, outlines, crowds, key points, empty pictures."""
    found = list(items(source))
    write_items(found, source.classes, folder, source.skeleton)
    return list(renamed(found))


def write_items(
    found: Iterable[Item], classes: Sequence[str], folder: Path, skeleton: Skeleton | None = None
) -> None:
    """Items -> a json for each part, ids from 1."""
    names = [{"id": k + 1, "name": name, **_body(skeleton)} for k, name in enumerate(classes)]
    documents: dict[str, dict[str, list]] = {}
    for item in found:
        fresh: dict[str, list] = {"images": [], "annotations": [], "categories": names}
        document = documents.setdefault(item.part, fresh)
        image_id = len(document["images"]) + 1
        width, height = item.size
        document["images"].append(
            {"id": image_id, "file_name": item.name, "width": width, "height": height}
        )
        for thing in item.record.things:
            head = {"id": len(document["annotations"]) + 1, "image_id": image_id}
            document["annotations"].append({**head, **annotation(thing)})
        place(item.record.image, folder / "images" / item.part / item.name)
    (folder / "annotations").mkdir(parents=True)
    for part, document in documents.items():
        file = folder / "annotations" / f"instances_{part}.json"
        file.write_text(as_lines(document), encoding="utf-8")


def annotation(thing: Thing) -> dict[str, Any]:
    """A thing in COCO's words.

    >>> annotation(Thing(0, (1.0, 2.0, 4.0, 6.0)))["bbox"]
    [1.0, 2.0, 3.0, 4.0]
    """
    x1, y1, x2, y2 = thing.box
    said: dict[str, Any] = {
        "category_id": thing.label + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": outline_area(thing.outline) if thing.outline else (x2 - x1) * (y2 - y1),
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
