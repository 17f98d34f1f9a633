"""Do boxes lie where something is? What pixels say of a set whose boxes were shifted or exchanged.

Things end where brightness changes, and are not as bright as what is around them. Boxes that are
a pixel off miss their edges on all sides alike; boxes whose x and y changed places lie somewhere
else, and exchanging them back finds the things. Pictures of another size than was labelled are told
first, and left out. Single pictures say little: what is said holds for
the mean over pictures, by many standard errors.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from .boxes import BoxSet, Record, unwound
from .images import read_image
from .source import Problem, SampleSet

LOOKED = 80  # pictures that are looked at
PIXELS, ENOUGH = 400_000_000, 30  # read in all, after which so many pictures will do
LEAST, BOXES = 20, 16  # pictures below which nothing is said; boxes of each that are looked at
SIDE = 6  # pixels; smaller boxes are all edge
REACH = 3  # pixels about a side in which a thing's beginning is looked for
SURE = 6.0  # standard errors; each of two measures alone must reach a third of it
STEPPED, GAIN = 4.5, 1.5  # of a shift: standard errors, and how much more than at the sides
Size = tuple[int, int]  # W, H


def misplaced(part: SampleSet) -> Iterator[Problem]:
    """A part with boxes -> what its pixels say of all boxes: those of pictures that have another
    size than their annotation says, and of the others exchanged axes, or a shift.

    Reads up to LOOKED pictures from all over the part; drawn and unlabelled ones are not looked at.
    """
    inner = unwound(part)
    if inner is None:
        return
    sizes: dict[int, tuple[Record, Size]] = {}
    ways: dict[str, list[tuple[float, float]]] = {"pixels": [], "shares": []}
    sides: list[np.ndarray | None] = []
    for row, record, gray_HW in _looked(*inner):
        size = (gray_HW.shape[1], gray_HW.shape[0])
        sizes[row] = (record, size)
        boxes_N4 = _boxes(record, size)
        if record.size in (None, size) and len(boxes_N4):
            for unit, found in ways_of(gray_HW, boxes_N4):
                ways[unit].append(found)
            sides.append(sides_of(gray_HW, boxes_N4))
    yield from _resized([sizes[row] for row in sorted(sizes)])
    turned = next((said for one in ways.values() if (said := exchanged_axes(one))), None)
    problem = turned or shifted([one for one in sides if one is not None])
    if problem is not None:
        yield problem


def _looked(boxes: BoxSet, rows: Sequence[int]) -> Iterator[tuple[int, Record, np.ndarray]]:
    """Labelled pictures that can be read, in any order: row, what is said of it, gray_HW."""
    chosen = list(rows[:: max(1, -(-len(rows) // LOOKED))])
    random.Random(0).shuffle(chosen)
    pixels = 0
    for count, row in enumerate(chosen):
        if pixels > PIXELS and count >= ENOUGH:
            return
        try:
            record = boxes.record(row)
            if not record.things:
                continue
            image_CHW = read_image(record.image, boxes.channels).numpy()
        except DataError:  # named where files are screened
            continue
        pixels += image_CHW[0].size
        yield row, record, image_CHW.sum(0, dtype=np.int16)


def _boxes(record: Record, size: Size) -> np.ndarray:
    """What lies of its boxes in the picture, where that is large enough: boxes_N4."""
    things = [thing.box for thing in record.things]
    boxes_N4 = np.clip(np.array(things, float).reshape(-1, 4), 0, (*size, *size))
    kept_N4 = boxes_N4[(boxes_N4[:, 2:] - boxes_N4[:, :2]).min(1) >= SIDE]
    return kept_N4[:: max(1, -(-len(kept_N4) // BOXES))]


def _resized(looked: Sequence[tuple[Record, Size]]) -> Iterator[Problem]:
    """What is said of pictures, and their sizes: are these the sizes that were labelled?"""
    wrong = [(record, size) for record, size in looked if record.size not in (None, size)]
    if not wrong:
        return
    record, (width, height) = wrong[0]
    said = "{} x {}".format(*record.size or ())
    message = (
        f"{said} is said of {Path(record.image).name}, which has {width} x {height}; the size is "
        f"wrong of {len(wrong)} of {len(looked)} pictures that were looked at, and so are their "
        "boxes: were the pictures resized after labelling?"
    )
    do = "scale the boxes as the pictures, or take the pictures that were labelled"
    yield Problem("label-size-wrong", message, file=record.file, line=record.line, do=do,
                  part="train")  # fmt: skip


def exchanged_axes(ways: Sequence[tuple[float, float]]) -> Problem | None:
    """`ways_of` pictures whose boxes could as well lie the other way round: which way do they?"""
    found = np.array(ways).reshape(-1, 2)  # a picture a row: by contrast, by edges
    if len(found) < LEAST:
        return None
    sure, each = _errors(found.mean(1)), [_errors(found[:, k]) for k in (0, 1)]
    if sure > -SURE or max(each) > -SURE / 3:
        return None
    share = (found.mean(1) < 0).mean()
    message = (
        f"boxes lie on things with x and y exchanged, and not as they are, in {share:.0%} of "
        f"{len(found)} pictures that were looked at: are the axes exchanged?"
    )
    do = "draw some boxes on their pictures; x comes before y, and width before height"
    return Problem("box-axes-exchanged", message, "suspect", do=do, part="train")


def ways_of(gray_HW: np.ndarray, boxes: np.ndarray) -> Iterator[tuple[str, tuple[float, float]]]:
    """-1 .. 1 by contrast and by edges: on how many more boxes than not they win as they are, and
    not with their pixels exchanged, or their shares, as YOLO's are (the same in a square).
    """
    height, width = gray_HW.shape
    scales = {"pixels": np.ones(4), "shares": np.array([width / height, height / width] * 2)}
    for unit in ("pixels", "shares") if width != height else ("pixels",):
        turned = boxes[:, [1, 0, 3, 2]] * scales[unit]
        other = np.abs(turned - boxes).max(1) > 4
        other &= (turned[:, 2] <= width + 1) & (turned[:, 3] <= height + 1)
        if other.any():
            here, there = (
                np.array([(_contrast(gray_HW, box), _rim(gray_HW, box)) for box in some[other]])
                for some in (boxes, turned)
            )
            contrast, edges = np.sign(here - there).mean(0).tolist()
            yield unit, (contrast, edges)


def shifted(sides: Sequence[np.ndarray]) -> Problem | None:
    """`sides_of` pictures: do the things begin a pixel or two beside their boxes, and end so, too?

    A box that is too large or too small is off to one side by what it is off to the other on the
    other side.
    """
    if len(sides) < LEAST:
        return None
    sides_P227 = np.stack(sides)
    words = (("left", "right"), ("up", "down"))
    steps = [(_step(sides_P227[:, axis]), words[axis]) for axis in (0, 1)]
    said = [f"{abs(by)} {to[by > 0]}" for by, to in steps if by]
    if not said:
        return None
    message = (
        f"things begin and end {' and '.join(said)} of their boxes (pixels, by {len(sides)} "
        "pictures that were looked at): are all boxes shifted, counted from 0 or from 1?"
    )
    do = "draw some boxes on their pictures, enlarged; VOC counts from 1, COCO and YOLO from 0"
    return Problem("box-shifted", message, "suspect", do=do, part="train")


def _step(sides_P27: np.ndarray) -> int:
    """What `_onset` says by picture and side -> by how much things lie beside boxes; 0 for none."""
    both_P7 = sides_P27.mean(1)
    mean_7 = both_P7.mean(0)
    by = int(mean_7.argmax()) - REACH
    if not by or abs(by) == REACH or mean_7.max() < GAIN * mean_7[REACH]:
        return 0
    there, here, mirrored = REACH + by, REACH, REACH - by
    gains = [both_P7[:, there] - both_P7[:, other] for other in (here, mirrored)]
    alone = [sides_P27[:, k, there] - sides_P27[:, k, here] for k in (0, 1)]
    is_sure = min(map(_errors, gains)) > STEPPED and min(map(_errors, alone)) > STEPPED / 2
    return by if is_sure else 0


def sides_of(gray_HW: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
    """`_onset` of a picture's boxes across and down, (2, 2, 2 REACH + 1), of mean size 1."""
    rows = []
    for box in np.rint(boxes).astype(int):
        across, down = _onset(gray_HW, box), _onset(gray_HW.T, box[[1, 0, 3, 2]])
        if across is not None and down is not None:
            rows.append(np.stack([across, down]))
    mean = np.mean(np.array(rows), axis=0) if rows else np.zeros(1)
    return mean / np.abs(mean).mean() if mean.any() else None


def _onset(gray_HW: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """How much edges grow from a column to the next one inwards, about the left and the right side
    of a box: (2, 2 REACH + 1). None at the picture's rim.

    Outside of a thing there are none of its edges and inside there are, so they grow where it
    begins. Of the rows the eighth with the strongest edges counts: a round thing touches briefly.
    """
    x1, y1, x2, y2 = box.tolist()
    reach = REACH + 1
    if x1 - reach - 1 < 0 or x2 + reach + 1 > gray_HW.shape[1]:
        return None
    sides = []
    for x in (x1, x2):  # an edge at x is between the pixels x - 1 and x
        near = gray_HW[y1:y2, x - reach - 1 : x + reach + 1]
        change = np.sort(np.abs(np.diff(near, axis=1)), axis=0)
        sides.append(change[-max(1, len(change) // 8) :].mean(0))
    left, right = sides
    return np.stack([left[1:-1] - left[:-2], right[1:-1] - right[2:]])


def _contrast(gray_HW: np.ndarray, box_4: np.ndarray) -> float:
    """How far the mean in a box is from that of a frame around it, a quarter of it wide."""
    x1, y1, x2, y2 = box_4
    wide, high = (x2 - x1) / 4, (y2 - y1) / 4
    inner = _cut(gray_HW, (x1, y1, x2, y2))
    outer = _cut(gray_HW, (x1 - wide, y1 - high, x2 + wide, y2 + high))
    rest = outer.size - inner.size
    return abs(inner.mean() - (outer.sum() - inner.sum()) / rest) if inner.size and rest else 0.0


def _rim(gray_HW: np.ndarray, box_4: np.ndarray) -> float:
    """The mean change across the sides of a box, two pixels to either side."""
    x1, y1, x2, y2 = np.rint(box_4).astype(int).tolist()
    found = []
    for gray, (low, high, first, last) in ((gray_HW, (x1, x2, y1, y2)),
                                           (gray_HW.T, (y1, y2, x1, x2))):  # fmt: skip
        for x in (low, high):
            if 2 <= x < gray.shape[1] - 1 and last > first:
                found.append(np.abs(gray[first:last, x + 1] - gray[first:last, x - 2]).mean())
    return float(np.mean(found)) if found else 0.0


def _cut(gray_HW: np.ndarray, box: Iterable[float]) -> np.ndarray:
    x1, y1, x2, y2 = (max(0, round(float(v))) for v in box)
    return gray_HW[y1:y2, x1:x2]


def _errors(values_P: np.ndarray) -> float:
    """The mean in standard errors; a spread of none counts as a small one."""
    spread = max(float(values_P.std(ddof=1)), 1e-3)
    return float(values_P.mean()) / spread * len(values_P) ** 0.5
