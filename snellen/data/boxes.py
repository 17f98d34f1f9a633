"""Pictures with things in them: what COCO, VOC and YOLO have in common once they are read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .images import read_header, read_image
from .masks import mask_HW
from .relabel import Relabelled
from .sample import Sample, Target
from .source import Part, SampleSet

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Thing:
    """One annotated object: its class, its box, and what else is known of it."""

    label: int
    box: Box  # x1, y1, x2, y2, half-open
    line: int | None = None  # of the annotation file
    ignored: bool = False  # COCO's crowds, VOC's difficult ones
    outline: Any = None  # polygons or run lengths, in COCO's form
    keypoints: tuple[float, ...] = ()  # x, y, visibility for each joint
    area: float | None = None  # in pixels, as COCO says it: that of the outline
    id: int | str | None = None  # as COCO says it


@dataclass(frozen=True)
class Record:
    """An image and its things, as one annotation says them."""

    image: str
    things: tuple[Thing, ...] = ()
    size: tuple[int, int] | None = None  # W, H as the annotation says; nobody measured it
    file: str | None = None  # the annotation
    line: int | None = None  # where it speaks of the image
    is_relative: bool = False  # coordinates are shares of the image's size (YOLO)
    id: int | str | None = None  # as COCO says it

    def pixels(self, size: tuple[int, int]) -> "Record":
        """The same with coordinates in pixels of an image of W, H.

        >>> half = Record("a.png", (Thing(0, (0, 0, 0.5, 1)),), is_relative=True)
        >>> half.pixels((8, 4)).things[0].box
        (0.0, 0.0, 4.0, 4.0)
        """
        if not self.is_relative:
            return self
        return replace(self, is_relative=False, size=size,
                       things=tuple(_scaled(thing, *size) for thing in self.things))  # fmt: skip


@dataclass
class BoxSet(SampleSet):
    """Records as samples; a picture is read when asked for, its masks drawn then."""

    reads_files = True

    records: Sequence[Record]
    channels: int = 3
    draws_masks: bool = True  # a task that needs no masks saves their time
    has_outlines: bool = False  # then a picture without things has masks too, none of them
    num_joints: int = 0  # of each thing, and of a picture without things
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)  # W, H that were looked up

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> Sample:
        path = self.records[i].image
        image_CHW = read_image(path, self.channels)
        self.sizes[i] = (image_CHW.shape[2], image_CHW.shape[1])
        target = self.target(i)
        if self.draws_masks:
            drawn_NHW = masks(self.record(i), self.sizes[i], self.has_outlines)
            target = replace(target, masks_NHW=drawn_NHW)
        return Sample(image_CHW, target, i, path)

    def target(self, i: int) -> Target:
        """Boxes, classes and key points; the file's head is read where coordinates are shares."""
        things = self.record(i).things
        ignored = [thing.ignored for thing in things]
        areas = [float("nan") if thing.area is None else thing.area for thing in things]
        joints_NK3 = _joints(things, self.num_joints)
        return Target(
            labels=torch.tensor([thing.label for thing in things], dtype=torch.int64),
            boxes_N4=torch.tensor([thing.box for thing in things]).float().reshape(-1, 4),
            ignored_N=torch.tensor(ignored) if any(ignored) else None,
            areas_N=None
            if all(map(math.isnan, areas))
            else torch.tensor(areas, dtype=torch.float64),
            keypoints_NK2=None if joints_NK3 is None else joints_NK3[..., :2],
            visibility_NK=None if joints_NK3 is None else joints_NK3[..., 2].long(),
        )

    def record(self, i: int) -> Record:
        """Record i in pixels of its image."""
        record = self.records[i]
        return record.pixels(self.size(i)) if record.is_relative else record

    def size(self, i: int) -> tuple[int, int]:
        """W, H of image i as it is shown, off its first bytes."""
        if i not in self.sizes:
            self.sizes[i] = image_size(self.records[i].image)
        return self.sizes[i]

    def path(self, i: int) -> str:
        """The file of sample i."""
        return self.records[i].image


def image_size(path: str) -> tuple[int, int]:
    """W, H of a picture file as it is shown: turned where its EXIF tag says so."""
    header = read_header(path)
    turned = header.orientation in (5, 6, 7, 8)
    return (header.height, header.width) if turned else (header.width, header.height)


def masks(record: Record, size: tuple[int, int], always: bool = False) -> Tensor | None:
    """Record in pixels, image's W, H -> masks_NHW, or None where no thing has an outline.

    `always` draws them there too. Things without an outline among others that have one get their
    box as mask.
    """
    if not always and not any(thing.outline for thing in record.things):
        return None
    width, height = size
    masks_NHW = np.zeros((len(record.things), height, width), bool)
    for mask, thing in zip(masks_NHW, record.things, strict=True):
        if thing.outline:
            drawn = mask_HW(thing.outline, size)[:height, :width]
            mask[: len(drawn), : drawn.shape[1]] = drawn
        else:
            x1, y1, x2, y2 = (round(v) for v in thing.box)
            mask[y1:y2, x1:x2] = True
    return torch.from_numpy(masks_NHW)


def unwound(part: SampleSet) -> tuple[BoxSet, list[int]] | None:
    """A part -> the set of boxes inside and the rows that it shows, or None where it is another.

    >>> unwound(Part(BoxSet([Record("a.png"), Record("b.png")]), [1]))[1]
    [1]
    """
    if isinstance(part, BoxSet):
        return part, list(range(len(part)))
    if not isinstance(part, Part | Relabelled):
        return None
    inner = unwound(part.whole)
    if inner is None or isinstance(part, Relabelled):
        return inner
    return inner[0], [inner[1][row] for row in part.rows]


def _joints(things: Sequence[Thing], least: int) -> Tensor | None:
    """x, y, visibility of each joint, (N, K, 3); things without joints have zeros."""
    count = max((len(thing.keypoints) for thing in things), default=0)
    count = max(count, 3 * least)
    if not count:
        return None
    rows = [thing.keypoints + (0.0,) * (count - len(thing.keypoints)) for thing in things]
    return torch.tensor(rows).float().reshape(len(things), count // 3, 3)


def _scaled(thing: Thing, width: int, height: int) -> Thing:
    x1, y1, x2, y2 = thing.box
    outline = thing.outline and [
        [v * (height if i % 2 else width) for i, v in enumerate(polygon)]
        for polygon in thing.outline
    ]
    by = (width, height, 1)
    joints = tuple(v * by[i % 3] for i, v in enumerate(thing.keypoints))
    box = (float(x1 * width), float(y1 * height), float(x2 * width), float(y2 * height))
    return replace(thing, box=box, outline=outline, keypoints=joints)
