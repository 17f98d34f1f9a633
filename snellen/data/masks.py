"""Outlines of things <-> masks: polygons and run lengths as COCO writes them, by pycocotools."""

import math
import warnings
from typing import Any

import numpy as np

Size = tuple[int, int]  # W, H


def mask_HW(segmentation: Any, size: Size) -> np.ndarray:
    """Polygons [[x1, y1, x2, ...], ...] or run lengths {"size", "counts"} -> bool mask_HW.

    >>> mask_HW([[1, 1, 4, 1, 4, 3, 1, 3]], (6, 4)).astype(int).tolist()
    [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    """
    from pycocotools import mask as coco

    width, height = size
    if isinstance(segmentation, list):
        runs = coco.merge(coco.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        runs = coco.frPyObjects(segmentation, height, width)
    else:
        runs = segmentation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pycocotools under NumPy 2
        return coco.decode(runs).astype(bool)


def polygons_around(mask_HW: np.ndarray) -> list[list[float]]:
    """A mask -> the polygons along the sides of its pixels, around its parts and its holes.

    Drawn as one line, with seams from one to the next, they give the mask again: inside is what
    lies in an odd number of them. A corner is a point with one or three of its four pixels set,
    or two that touch in it alone, which are two corners; in each row and column of points the
    first corner is joined with the second, the third with the fourth ...

    >>> polygons_around(np.array([[0, 1], [1, 1]]))
    [[1.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0, 0.0, 1.0, 1.0, 1.0]]
    """
    cells = np.pad(mask_HW.astype(bool), 1)
    a, b, c, d = cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]
    corners = (a ^ b ^ c ^ d) + 2 * ((a == d) & (b == c) & (a != b))
    rows, columns = np.nonzero(corners)
    times = corners[rows, columns]
    y, x = np.repeat(rows, times), np.repeat(columns, times)
    order = np.lexsort((y, x))
    along = np.empty(len(order), int)  # the other end of a corner's vertical side
    along[order[::2]], along[order[1::2]] = order[1::2], order[::2]
    return _loops(np.stack((x, y), 1).astype(float).tolist(), along.tolist())


def _loops(points: list[list[float]], along: list[int]) -> list[list[float]]:
    """Corners, 2k and 2k + 1 joined by a horizontal side, i and along[i] by a vertical -> loops."""
    polygons: list[list[float]] = []
    seen = [False] * len(points)
    for i in range(len(points)):
        polygon: list[float] = []
        while not seen[i]:
            seen[i] = seen[i ^ 1] = True
            polygon += points[i] + points[i ^ 1]
            i = along[i ^ 1]
        polygons += [polygon] if polygon else []
    return polygons


def outline_area(segmentation: Any) -> float:
    """The area of polygons, added up, or of run lengths.

    >>> outline_area([[0, 0, 4, 0, 4, 2, 0, 2]]), outline_area({"size": [2, 2], "counts": [1, 3]})
    (8.0, 3.0)
    """
    if isinstance(segmentation, list):
        return float(sum(_polygon_area(polygon) for polygon in segmentation))
    if isinstance(segmentation["counts"], list):
        return float(sum(segmentation["counts"][1::2]))
    from pycocotools import mask as coco

    return float(coco.area(segmentation))


def _polygon_area(polygon: list[float]) -> float:
    x, y = np.array(polygon[::2], float), np.array(polygon[1::2], float)
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def outline_fault(segmentation: Any, size: Size | None) -> str:
    """Why a segmentation cannot be drawn, or "" where it can.

    >>> outline_fault([[1, 1, 4, 1]], None)
    'a polygon of 4 numbers; x, y of three points are the least'
    """
    if isinstance(segmentation, list):
        return next((fault for part in segmentation if (fault := _polygon_fault(part))), "")
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= set(segmentation):
        return "neither polygons nor run lengths with size and counts"
    return _runs_fault(segmentation, size)


def outline_overshoot(segmentation: Any, size: Size) -> float:
    """How many pixels polygons reach beyond an image of W, H; run lengths never do.

    >>> outline_overshoot([[-2, 0, 4, 0, 4, 3]], (4, 3))
    2.0
    """
    if not isinstance(segmentation, list):
        return 0.0
    over = [0.0]
    for polygon in segmentation:
        for values, most in ((polygon[::2], size[0]), (polygon[1::2], size[1])):
            over += [-float(min(values)), float(max(values)) - most]
    return max(over)


def _polygon_fault(polygon: Any) -> str:
    if not isinstance(polygon, list) or not are_numbers(polygon):
        return "a polygon that is no list of finite numbers"
    if len(polygon) < 6 or len(polygon) % 2:
        return f"a polygon of {len(polygon)} numbers; x, y of three points are the least"
    return ""


def _runs_fault(runs: dict[str, Any], size: Size | None) -> str:
    shape, counts = runs["size"], runs["counts"]
    if not isinstance(shape, list) or len(shape) != 2 or not all(_is_count(v) for v in shape):
        return f"run lengths of size {shape!r}; [height, width] is wanted"
    if size is not None and shape != [size[1], size[0]]:
        have, want = f"{shape[1]} x {shape[0]}", f"{size[0]} x {size[1]}"
        return f"run lengths for {have} pixels; the image has {want}"
    if isinstance(counts, list):
        if not all(_is_count(v) for v in counts) or sum(counts) != shape[0] * shape[1]:
            return "run lengths that do not add up to the image"
        return ""
    return "" if isinstance(counts, str) and _packed_sum(counts) == shape[0] * shape[1] else (
        "packed run lengths that do not add up to the image"
    )  # fmt: skip


def _packed_sum(text: str) -> int:
    """The pixels of a packed string: pycocotools reads past its end where this is not the image."""
    runs: list[int] = []
    value, shift = 0, 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 60:
            return -1
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            return -1
        value, shift = 0, 0
    return -1 if shift else sum(runs)


def are_numbers(values: list[Any]) -> bool:
    """Whether values of JSON are finite numbers (and not true or false); quick, for millions.

    >>> are_numbers([1, 2.5]), are_numbers([float("nan"), 1]), are_numbers([True])
    (True, False, False)
    """
    if not set(map(type, values)) <= {int, float}:
        return False
    try:
        return math.isfinite(sum(map(float, values)))
    except OverflowError:  # a whole number of 300 digits and more
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
