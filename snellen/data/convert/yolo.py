"""A source of boxes -> YOLO: images/<part>, labels/<part> and data.yaml.

A data set of this form says one thing of its objects: boxes, boxes with key points, or polygons.
`yolo` writes what loses least: key points where there are any; polygons where each is its thing's
whole outline and its box; else boxes. `yolo-seg` writes polygons of all, `yolo-box` boxes; run
lengths are traced along the sides of their pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ..boxes import BoxSet, Thing
from ..masks import mask_HW, polygons_around
from ..sample import Skeleton
from ..source import Source
from ._export import COCOS, PARTS, Item, counts, example_items, items, parts_of, place, renamed

EXACT = 1e-6  # pixels that a polygon's hull may differ from its box


def write(source: Source, folder: Path) -> list[str]:
    """Boxes, key points or polygons, whichever loses least; crowds become plain things."""
    return write_as(kind_of(source), source, folder)


def write_as(kind: str, source: Source, folder: Path) -> list[str]:
    """A source in the form "box", "pose" or "seg"."""
    skeleton, found = source.skeleton if kind == "pose" else None, list(items(source))
    write_items(found, source.classes, folder, kind=kind, skeleton=skeleton)
    start = "changed" if kind == "seg" else "--to yolo-seg would change"
    return [*renamed(found), *(f"{start}: {words}" for words in _bent(found))]


def _bent(found: Iterable[Item]) -> Iterator[str]:
    """What polygons change, by count."""
    things = [t for item in found for t in item.record.things if t.outline]
    drawn = [polygons_of(thing) for thing in things]
    boxes = [_spans(polygons, t) for polygons, t in zip(drawn, things, strict=True) if polygons]
    counts = {
        "outlines of several polygons, joined by seams": sum(len(p) > 1 for p in drawn),
        "outlines of run lengths, traced to polygons of the same pixels": sum(
            isinstance(thing.outline, dict) for thing in things
        ),
        "outlines without a pixel, which become their boxes": drawn.count([]),
        "boxes, which become the smallest around their polygon": boxes.count(False),
    }
    return (f"{count} {words}" for words, count in counts.items() if count)


def polygons_of(thing: Thing) -> list[list[float]]:
    """The polygons of a thing's outline, those around its pixels for run lengths.

    >>> polygons_of(Thing(0, (0, 0, 2, 1), outline={"size": [2, 3], "counts": [0, 1, 1, 1, 3]}))
    [[0.0, 0.0, 2.0, 0.0, 2.0, 1.0, 0.0, 1.0]]
    """
    if isinstance(thing.outline, dict):
        height, width = thing.outline["size"]
        return polygons_around(mask_HW(thing.outline, (width, height)))
    return list(thing.outline or ())


def kind_of(source: Source) -> str:
    """What `--to yolo` writes of a source."""
    have = counts(source)
    if have["keypoints"] or not have["outlines"]:
        return "pose" if have["keypoints"] else "box"
    things = (thing for part in parts_of(source).values() if isinstance(part, BoxSet)
              for i in range(len(part)) for thing in part.record(i).things)  # fmt: skip
    return "seg" if all(is_whole(thing) for thing in things) else "box"


def is_whole(thing: Thing) -> bool:
    """Whether a thing's outline is one polygon, and its box the smallest around it.

    >>> is_whole(Thing(0, (0, 0, 4, 2), outline=[[0, 0, 4, 0, 4, 2]]))
    True
    """
    polygons = polygons_of(thing)
    return len(polygons) == 1 and _spans(polygons, thing)


def _spans(polygons: Sequence[Sequence[float]], thing: Thing) -> bool:
    """Whether a thing's box is the smallest around its polygons."""
    x = [v for polygon in polygons for v in polygon[::2]]
    y = [v for polygon in polygons for v in polygon[1::2]]
    hull = (min(x), min(y), max(x), max(y))
    return all(abs(a - b) <= EXACT for a, b in zip(hull, thing.box, strict=True))


def write_items(
    found: Iterable[Item], classes: Sequence[str], folder: Path, *, kind: str = "box",
    skeleton: Skeleton | None = None,
) -> None:  # fmt: skip
    """Items -> a text file each (an empty one where there is no object), and the yaml."""
    seen, num_joints = set(), 0
    for item in found:
        file = folder / "labels" / item.part / f"{item.stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        num_joints = max(
            len(skeleton.joints) if skeleton else 0,
            num_joints,
            *(len(thing.keypoints) // 3 for thing in item.record.things),
            0,
        )
        file.write_text(lines(item, kind, num_joints), encoding="utf-8")
        place(item.record.image, folder / "images" / item.part / item.name)
        seen.add(item.part)
    said: dict[str, Any] = {part: f"images/{part}" for part in PARTS if part in seen}
    said["names"] = dict(enumerate(classes))
    if kind == "pose":
        said["kpt_shape"] = [num_joints, 3]
    if skeleton is not None:
        if skeleton.mirror:
            said["flip_idx"] = list(skeleton.mirror)
        said["kpt_names"] = {k: list(skeleton.joints) for k in range(len(classes))}
    text = yaml.dump(said, Dumper=_Plain, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, encoding="utf-8")


def lines(item: Item, kind: str, num_joints: int = 0) -> str:
    """A line a thing, in shares of the image; all digits, so that nothing is lost."""
    width, height = item.size
    rows = []
    for thing in item.record.things:
        if kind == "seg":
            words = [repr(float(v) / (height if i % 2 else width))
                     for i, v in enumerate(polygon_of(thing))]  # fmt: skip
        else:
            words = [repr(float(share)) for share in _shares(thing, width, height)]
        if kind == "pose":
            words += _joints(thing, num_joints, width, height)
        rows.append(" ".join([str(thing.label), *words]) + "\n")
    return "".join(rows)


def polygon_of(thing: Thing) -> list[float]:
    """One polygon for a thing: several are joined by seams that enclose nothing.

    Things without an outline give the box.

    >>> polygon_of(Thing(0, (0, 0, 9, 9), outline=[[0, 0, 1, 0, 1, 1], [8, 8, 9, 8, 9, 9]]))
    [0, 0, 1, 0, 1, 1, 0, 0, 8, 8, 9, 8, 9, 9, 8, 8, 0, 0]
    """
    polygons = polygons_of(thing)
    if not polygons:
        x1, y1, x2, y2 = thing.box
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    if len(polygons) == 1:
        return list(polygons[0])
    closed = [[*polygon, *polygon[:2]] for polygon in polygons]
    back = [v for polygon in closed[-2::-1] for v in polygon[:2]]
    return [v for polygon in closed for v in polygon] + back


def _shares(thing: Thing, width: int, height: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = thing.box
    return ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)


def _joints(thing: Thing, count: int, width: int, height: int) -> list[str]:
    padded = (*thing.keypoints, *[0.0] * (3 * count - len(thing.keypoints)))
    by = (width, height)
    return [str(int(v)) if i % 3 == 2 else repr(v / by[i % 3]) for i, v in enumerate(padded)]


class _Plain(yaml.SafeDumper):
    """Writes lists in full each time: other readers know no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def write_example(folder: Path) -> Path:
    """A tiny data set in this form."""
    write_items(example_items(folder.with_name("source")), ("ball", "box"), folder)
    return folder


def _lost(source: Source) -> tuple[str, ...]:
    """Facts of a source that `--to yolo` leaves out."""
    return LOST[kind_of(source)]


LOST = {"box": ("outlines", "keypoints", "ignored", *COCOS),
        "pose": ("outlines", "ignored", "bones", *COCOS),
        "seg": ("keypoints", "ignored", *COCOS)}  # fmt: skip
WRITERS = {
    "yolo": write,
    "yolo-box": partial(write_as, "box"),
    "yolo-seg": partial(write_as, "seg"),
}
LOSES = {"yolo": _lost, "yolo-box": LOST["box"], "yolo-seg": LOST["seg"]}
