"""A source -> a table: path, label and split for classes; also x1, y1, x2, y2 for boxes."""

import csv
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError
from ..boxes import BoxSet
from ..source import Source
from ._export import COCOS, items, parts_of, place, renamed

BOXES = ("path", "label", "x1", "y1", "x2", "y2", "split")


def write(source: Source, folder: Path) -> list[str]:
    """labels.csv, or boxes.csv with a row a box; a picture without boxes has a row without one."""
    has_boxes = isinstance(source.train, BoxSet)
    head = BOXES if has_boxes else ("path", "label", "split")
    rows = _boxes(source, folder) if has_boxes else _labels(source, folder)
    with open(folder / ("boxes.csv" if has_boxes else "labels.csv"), "x", encoding="utf-8",
              newline="") as file:  # fmt: skip
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    return list(renamed(list(items(source, flat=True)))) if has_boxes else []


def _boxes(source: Source, folder: Path) -> Iterator[list]:
    for item in items(source, flat=True):
        place(item.record.image, folder / "images" / item.name)
        name = f"images/{item.name}"
        for thing in item.record.things:
            yield [name, source.classes[thing.label], *thing.box, item.part]
        if not item.record.things:
            yield [name, "", "", "", "", "", item.part]


def _labels(source: Source, folder: Path) -> Iterator[list]:
    for part, samples in parts_of(source).items():
        labels = samples.labels()
        for i in range(len(samples)):
            path = samples.path(i)
            label = -1 if labels is None else int(labels[i])
            if path is None:
                raise DataError(f"{source.name} has no files that a table could name")
            if label < 0:
                continue
            name = f"images/{part}/{i:06}{Path(path).suffix}"
            place(path, folder / name)
            yield [name, source.classes[label], part]


WRITERS = {"csv": write}
LOSES = {"csv": ("outlines", "keypoints", "ignored", *COCOS)}
