"""Reference boxes: k-means sizes under 1 - IoU (YOLO v2), grids of anchors, SSD's default boxes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

SEEING = "Detection and segmentation"
PARTS = {
    "k-means anchors": Part(
        SEEING, "sn.nn.kmeans_anchors", "sizes clustered by 1 - IoU, not by Euclid", "001"
    ),
    "Anchor grid": Part(
        SEEING, "sn.nn.grid_anchors", "the same sizes at each cell of a feature map", "004"
    ),
    "Default boxes of SSD": Part(
        SEEING, "sn.nn.default_boxes", "8732 at 300 pixels, six maps", "004"
    ),
}  # fmt: skip
ROUNDS, STARTS = 300, 5  # k-means finds a near optimum: the best of five is kept


def size_iou(sizes_N2: Tensor, others_M2: Tensor) -> Tensor:
    """Widths and heights -> iou_NM of the boxes laid on one corner.

    >>> size_iou(torch.tensor([[2.0, 2]]), torch.tensor([[1.0, 2], [4, 4]])).tolist()
    [[0.5, 0.25]]
    """
    shared_NM = torch.minimum(sizes_N2[:, None], others_M2[None]).prod(2)
    union_NM = sizes_N2.prod(1)[:, None] + others_M2.prod(1)[None] - shared_NM
    return shared_NM / union_NM.clamp(min=torch.finfo(union_NM.dtype).tiny)


def kmeans_anchors(sizes_N2: Tensor, count: int, *, seed: int = 0) -> tuple[Tensor, list[float]]:
    """Widths and heights of boxes -> anchors (count, 2) by rising area, mean best IoU a round.

    k-means with distance 1 - IoU, begun as k-means++; a move that would lower the mean best IoU is
    not made, so that figure only rises. Raises UsageError where fewer than `count` different
    positive finite sizes are given.

    >>> sizes = torch.tensor([[10.0, 10], [11, 10], [12, 10], [50, 80]])
    >>> kmeans_anchors(sizes, 2)[0].tolist()
    [[11.0, 10.0], [50.0, 80.0]]
    """
    check_counts(count=count)
    if sizes_N2.ndim != 2 or sizes_N2.shape[1] != 2:
        raise UsageError(f"sizes of shape {tuple(sizes_N2.shape)}; (N, 2) is wanted: width, height")
    sizes = sizes_N2[(sizes_N2 > 0).all(1) & sizes_N2.isfinite().all(1)].double()
    distinct = len(sizes.unique(dim=0))
    if distinct < count:
        raise UsageError(f"{count} anchors were asked for; there are {distinct} different box "
                         "sizes of positive finite width and height")  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    tries = [_settle(sizes, _spread(sizes, count, random)) for _ in range(STARTS)]
    anchors, history = max(tries, key=lambda found: found[1][-1])
    return anchors[anchors.prod(1).argsort()].to(sizes_N2.dtype), history


def grid_anchors(
    cells: tuple[int, int], stride: float | tuple[float, float], sizes_A2: Tensor
) -> Tensor:
    """Feature map (H, W), pixels a cell, anchor sizes_A2 (w, h) -> boxes (H * W * A, 4).

    Each anchor sits on the centre of its cell; order: rows, columns, anchors. Two strides are those
    of rows and of columns.

    >>> grid_anchors((1, 2), 8, torch.tensor([[4.0, 2.0]])).tolist()
    [[2.0, 3.0, 6.0, 5.0], [10.0, 3.0, 14.0, 5.0]]
    """
    height, width = cells
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    rows = (torch.arange(height, device=sizes_A2.device) + 0.5) * down
    cols = (torch.arange(width, device=sizes_A2.device) + 0.5) * across
    y_HW, x_HW = torch.meshgrid(rows, cols, indexing="ij")
    middle = torch.stack([x_HW, y_HW], -1)[:, :, None].to(sizes_A2.dtype)
    return torch.cat([middle - sizes_A2 / 2, middle + sizes_A2 / 2], -1).reshape(-1, 4)


def default_boxes(
    maps: Sequence[tuple[int, int]],
    scales: Sequence[float],
    ratios: Sequence[Sequence[float]],
    *,
    image: tuple[int, int] = (1, 1),
    steps: Sequence[float] = (),
    clip: bool = False,
) -> Tensor:
    """SSD's boxes: maps (H, W), one scale more than maps, aspect ratios a map -> boxes_N4, xyxy.

    At each cell: scale s as a square, sqrt(s s') as a square (s' is the next map's scale), and s
    with width/height r and 1/r for each ratio (arXiv:1512.02325). Scales are shares of the image
    (H, W). A map's cells share the image evenly, or are `steps` pixels apart, one number a map.
    With `clip` no side is longer than the image. Raises UsageError where the lists do not fit.

    >>> default_boxes([(1, 1)], [0.5, 0.9], [[2]]).shape
    torch.Size([4, 4])
    """
    if len(scales) != len(maps) + 1 or len(ratios) != len(maps):
        raise UsageError(f"{len(maps)} maps want {len(maps) + 1} scales and {len(maps)} lists of "
                         f"ratios; {len(scales)} and {len(ratios)} were given")  # fmt: skip
    if steps and len(steps) != len(maps):
        raise UsageError(f"{len(maps)} maps want as many steps; {len(steps)} were given")
    boxes = []
    for k, ((height, width), scale, wide) in enumerate(zip(maps, scales, ratios, strict=False)):
        after = scales[k + 1]
        sides = [(scale, scale), (math.sqrt(scale * after),) * 2]
        for ratio in wide:
            root = math.sqrt(ratio)
            sides += [(scale * root, scale / root), (scale / root, scale * root)]
        unit = grid_anchors((height, width), 1, torch.zeros(1, 2))[:, None]
        across, down = (image[1] / steps[k], image[0] / steps[k]) if steps else (width, height)
        unit = unit / unit.new_tensor([across, down, across, down])
        half = torch.tensor(sides).clamp(max=1.0 if clip else math.inf) / 2
        boxes.append((unit + torch.cat([-half, half], 1)).reshape(-1, 4))
    return torch.cat(boxes) * torch.tensor([image[1], image[0]] * 2)


def _settle(sizes: Tensor, anchors: Tensor) -> tuple[Tensor, list[float]]:
    """Move the anchors until no round fits better."""
    history = [_fit(sizes, anchors)]
    for _ in range(ROUNDS):
        moved = _moved(sizes, anchors)
        fit = _fit(sizes, moved)
        if fit <= history[-1]:
            break
        anchors = moved
        history.append(fit)
    return anchors, history


def _spread(sizes: Tensor, count: int, random: torch.Generator) -> Tensor:
    """k-means++: each next anchor is drawn with the square of its distance to those there are."""
    rows = [int(torch.randint(len(sizes), (1,), generator=random))]
    while len(rows) < count:
        far = (1 - size_iou(sizes, sizes[rows]).amax(1)).clamp(min=0) ** 2
        rows.append(int(torch.multinomial(far, 1, generator=random)))
    return sizes[rows]


def _fit(sizes: Tensor, anchors: Tensor) -> float:
    return float(size_iou(sizes, anchors).amax(1).mean())


def _moved(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Each anchor to the mean of the sizes nearest to it, where that serves those sizes better."""
    nearest = size_iou(sizes, anchors).argmax(1)
    moved = anchors.clone()
    for k in range(len(anchors)):
        own = sizes[nearest == k]
        if len(own) and _fit(own, own.mean(0, keepdim=True)) > _fit(own, anchors[k : k + 1]):
            moved[k] = own.mean(0)
    return moved
