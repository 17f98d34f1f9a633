"""A source of boxes -> YOLO: images/<part>, labels/<part> and data.yaml."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..source import Source
from ._export import PARTS, Item, example_items, items, place


def write(source: Source, folder: Path) -> None:
    """Boxes and classes; crowds become plain boxes, outlines and key points have no place."""
    write_items(items(source), source.classes, folder)


def write_items(found: Iterable[Item], classes: Sequence[str], folder: Path) -> None:
    """Items -> a text file each (an empty one where there is no object), and the yaml."""
    seen = set()
    for item in found:
        file = folder / "labels" / item.part / f"{item.stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines(item), encoding="utf-8")
        place(item.record.image, folder / "images" / item.part / item.name)
        seen.add(item.part)
    text = [f"{part}: images/{part}" for part in PARTS if part in seen]
    text += ["names:", *(f"  {k}: {json.dumps(name)}" for k, name in enumerate(classes))]
    (folder / "data.yaml").write_text("\n".join([*text, ""]), encoding="utf-8")


def lines(item: Item) -> str:
    """class, centre and size in shares of the image; all digits, so that nothing is lost."""
    width, height = item.size
    rows = []
    for thing in item.record.things:
        x1, y1, x2, y2 = thing.box
        shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width,
                  (y2 - y1) / height)  # fmt: skip
        rows.append(" ".join([str(thing.label), *(repr(share) for share in shares)]) + "\n")
    return "".join(rows)


def write_example(folder: Path) -> Path:
    """A tiny data set in this form."""
    write_items(example_items(folder.with_name("source")), ("ball", "box"), folder)
    return folder


WRITERS = {"yolo": write}
LOSES = {"yolo": ("outlines", "keypoints", "ignored")}
