"""Selective search (Uijlings et al., IJCV 2013): superpixels that are alike merge until one is
left, and the box around all that ever was a part is a proposal. Notes 003; R-CNN begins with it.

Alike are parts of like colour and like texture, small ones before large ones, and those that fill
the box around both. Several scales of superpixels, since no single one fits all things.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..core.parts import Part
from .superpixels import grow_superpixels

PARTS = {
    "Selective search": Part(
        "Detection and segmentation", "sn.data.selective_search.search_regions",
        "superpixels merged by likeness; the box of every part is a proposal", "003",
    )
}  # fmt: skip
COLOURS, TURNS, STRENGTHS = 25, 8, 10  # bins: of a colour; of a slope's direction and strength


@dataclass
class _Region:
    """A part: pixels, box, shares of colours and slopes, and who is beside it."""

    size: int
    box: tuple[int, int, int, int]
    colours: np.ndarray
    slopes: np.ndarray
    beside: set[int]


def search_regions(
    image_CHW: Tensor, scales: Sequence[float] = (50.0, 200.0), *, least: int = 8
) -> Tensor:
    """image_CHW -> boxes_N4 of regions, half-open, without doubles: the last merged first.

    `scales` of the superpixels; boxes with a side under `least` pixels are left out.

    >>> image = torch.zeros(3, 24, 32, dtype=torch.uint8)
    >>> image[:, 6:16, 8:20] = 200
    >>> [8.0, 6.0, 20.0, 16.0] in search_regions(image).tolist()
    True
    """
    pixels_HWC = image_CHW.permute(1, 2, 0).numpy()
    found: dict[tuple[int, int, int, int], None] = {}
    for scale in scales:
        parts_HW = grow_superpixels(pixels_HWC, scale)
        for box in reversed(_merged(_regions(pixels_HWC, parts_HW), parts_HW.size)):
            if min(box[2] - box[0], box[3] - box[1]) >= least:
                found[box] = None
    return torch.tensor(list(found), dtype=torch.float32).reshape(-1, 4)


def _merged(regions: dict[int, _Region], area: int) -> list[tuple[int, int, int, int]]:
    """Regions -> the boxes of all that ever were, the first ones first."""
    boxes = [region.box for region in regions.values()]
    alike = {
        (a, b): _likeness(regions[a], regions[b], area)
        for a in regions for b in regions[a].beside if a < b
    }  # fmt: skip
    new = max(regions, default=0)
    while alike:
        a, b = max(alike, key=alike.__getitem__)
        new += 1
        one = regions[new] = _joined(regions.pop(a), regions.pop(b))
        one.beside -= {a, b}
        alike = {pair: value for pair, value in alike.items() if a not in pair and b not in pair}
        for other in one.beside:
            regions[other].beside -= {a, b}
            regions[other].beside.add(new)
            alike[other, new] = _likeness(regions[other], one, area)
        boxes.append(one.box)
    return boxes


def _likeness(a: _Region, b: _Region, area: int) -> float:
    x1, y1, x2, y2 = _around(a.box, b.box)
    size = (a.size + b.size) / area
    fill = 1 - ((x2 - x1) * (y2 - y1)) / area + size
    shared = np.minimum(a.colours, b.colours).sum() + np.minimum(a.slopes, b.slopes).sum()
    return float(shared + 1 - size + fill)


def _joined(a: _Region, b: _Region) -> _Region:
    size = a.size + b.size
    colours = (a.size * a.colours + b.size * b.colours) / size
    slopes = (a.size * a.slopes + b.size * b.slopes) / size
    return _Region(size, _around(a.box, b.box), colours, slopes, a.beside | b.beside)


def _around(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _regions(pixels_HWC: np.ndarray, parts_HW: np.ndarray) -> dict[int, _Region]:
    """Parts -> regions by number."""
    count, part = int(parts_HW.max()) + 1, parts_HW.ravel()
    size = np.bincount(part, minlength=count)
    colours = _shares(part, [(c, COLOURS) for c in _levels(pixels_HWC)], size)
    slopes = _shares(part, _slopes(pixels_HWC), size)
    rows, cols = (axis.ravel() for axis in np.indices(parts_HW.shape))
    low, high = np.full((count, 2), parts_HW.size), np.zeros((count, 2), int)
    for k, place in enumerate((cols, rows)):
        np.minimum.at(low[:, k], part, place)
        np.maximum.at(high[:, k], part, place + 1)
    pairs = [(parts_HW[:, :-1], parts_HW[:, 1:]), (parts_HW[:-1], parts_HW[1:])]
    touch = np.concatenate([np.stack(p, -1).reshape(-1, 2) for p in pairs])
    beside: list[set[int]] = [set() for _ in range(count)]
    for a, b in np.unique(touch[touch[:, 0] != touch[:, 1]], axis=0).tolist():
        beside[a].add(b)
        beside[b].add(a)
    boxes = np.concatenate([low, high], 1).tolist()
    return {
        k: _Region(int(size[k]), tuple(boxes[k]), colours[k], slopes[k], beside[k])
        for k in range(count)
    }


def _levels(pixels_HWC: np.ndarray) -> list[np.ndarray]:
    """The bin of each pixel's value, a channel at a time."""
    bins = (pixels_HWC.astype(float) * COLOURS / 256).astype(int).clip(0, COLOURS - 1)
    return [bins[..., c].ravel() for c in range(bins.shape[2])]


def _slopes(pixels_HWC: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """The bin of each pixel's slope: its direction and how steep it is, a channel at a time."""
    found = []
    for c in range(pixels_HWC.shape[2]):
        down, right = np.gradient(pixels_HWC[..., c].astype(float))
        turn = ((np.arctan2(down, right) / (2 * np.pi) + 0.5) * TURNS).astype(int) % TURNS
        steep = (np.hypot(down, right) / 128 * STRENGTHS).astype(int).clip(0, STRENGTHS - 1)
        found.append(((turn * STRENGTHS + steep).ravel(), TURNS * STRENGTHS))
    return found


def _shares(
    part: np.ndarray, channels: list[tuple[np.ndarray, int]], size: np.ndarray
) -> np.ndarray:
    """(parts, bins of all channels): which share of a part's values lies in each bin; sums to 1."""
    tables = [
        np.bincount(part * bins + bin_of, minlength=len(size) * bins).reshape(len(size), bins)
        for bin_of, bins in channels
    ]
    return np.concatenate(tables, 1) / (size[:, None] * len(channels))
