"""A source of boxes -> YOLO: images/<part>, labels/<part> and data.yaml.

A data set of this form says one thing of its objects: boxes, boxes with key points, or polygons.
`yolo` writes what loses least: key points where there are any; polygons where each is its thing's
whole outline and its box; else boxes. `yolo-seg` writes polygons of all, `yolo-box` boxes.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ..boxes import BoxSet, Thing
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
    return [*renamed(found), *(_bent(found) if kind == "seg" else ())]


def _bent(found: Iterable[Item]) -> Iterator[str]:
    """What polygons change, by count."""
    things = [thing for item in found for thing in item.record.things]
    outlines = [thing.outline for thing in things]
    counts = {
        "outlines of several polygons, joined by seams": [o for o in outlines if _is_several(o)],
        "outlines of run lengths, which became their boxes": [
            o for o in outlines if isinstance(o, dict)
        ],
        "boxes, which are now the smallest around their polygon": [
            t for t in things if isinstance(t.outline, list) and not is_whole(t)
        ],
    }
    return (f"changed: {len(each)} {words}" for words, each in counts.items() if each)


def _is_several(outline: Any) -> bool:
    return isinstance(outline, list) and len(outline) > 1


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
    if not isinstance(thing.outline, list) or len(thing.outline) != 1:
        return False
    x, y = thing.outline[0][::2], thing.outline[0][1::2]
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

    Run lengths, and things without an outline, give the box.

    >>> polygon_of(Thing(0, (0, 0, 9, 9), outline=[[0, 0, 1, 0, 1, 1], [8, 8, 9, 8, 9, 9]]))
    [0, 0, 1, 0, 1, 1, 0, 0, 8, 8, 9, 8, 9, 9, 8, 8, 0, 0]
    """
    if not isinstance(thing.outline, list):
        x1, y1, x2, y2 = thing.box
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    if len(thing.outline) == 1:
        return list(thing.outline[0])
    closed = [[*polygon, *polygon[:2]] for polygon in thing.outline]
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
        "seg": ("keypoints", "ignored", "run lengths", *COCOS)}  # fmt: skip
WRITERS = {
    "yolo": write,
    "yolo-box": partial(write_as, "box"),
    "yolo-seg": partial(write_as, "seg"),
}
LOSES = {"yolo": _lost, "yolo-box": LOST["box"], "yolo-seg": LOST["seg"]}
