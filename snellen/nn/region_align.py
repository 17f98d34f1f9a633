"""RoIAlign, Mask R-CNN (arXiv:1703.06870): a region of a map as a small grid, without rounding.

Each of size x size bins is the mean of samples x samples points, and a point is interpolated from
the four cells around it. So a bin is a weighted sum of cells, which PyTorch has as one operation
(`embedding_bag`): no loop over regions, gradients to the maps and to the boxes.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.numbers import check_counts, check_positive
from ..core.parts import Part
from ._regions import check_regions

SEEING = "Detection and segmentation"
PARTS = {
    "RoIAlign": Part(
        SEEING, "sn.nn.roi_align", "a grid of bilinear samples in each box, nothing rounded", "003"
    ),
    "RoIAlign over a pyramid": Part(
        SEEING, "sn.nn.pyramid_align, sn.nn.pyramid_level",
        "each box from the map whose cells fit its size",
    ),
}  # fmt: skip
USUAL_SIDE, USUAL_LEVEL = 224, 4  # FPN (arXiv:1612.03144): a box of 224 pixels reads level 4


def roi_align(
    x_BCHW: Tensor,
    boxes_BP4: Tensor,
    size: int = 7,
    *,
    stride: float = 1.0,
    samples: int = 2,
    aligned: bool = True,
) -> Tensor:
    """x_BCHW and boxes of each image in pixels (a cell has `stride`) -> (B, P, C, size, size).

    `aligned` puts a cell's value in its middle, half a cell from its corner; without it a box has
    at least one cell a side (the first programs). Points outside are 0, and so is a box that is not
    finite. Raises UsageError where there are not boxes for each image.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> roi_align(x, torch.tensor([[[1.0, 1, 3, 3]]]), 2)[0, 0, 0].tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    """
    level_BP = torch.zeros(boxes_BP4.shape[:2], dtype=torch.long, device=boxes_BP4.device)
    return pyramid_align(
        [x_BCHW], boxes_BP4, size,
        strides=[stride], level_BP=level_BP, samples=samples, aligned=aligned,
    )  # fmt: skip


def pyramid_level(boxes_BP4: Tensor, strides: Sequence[float], usual: float = USUAL_SIDE) -> Tensor:
    """Boxes in pixels -> the row of `strides` (powers of two, rising) that each is read from.

    4 + log2 of its side over `usual`, rounded down: level k has cells of 2^k pixels.

    >>> boxes = torch.tensor([[[0.0, 0, 112, 112], [0, 0, 224, 224], [0, 0, 900, 900]]])
    >>> pyramid_level(boxes, [4, 8, 16, 32]).tolist()
    [[1, 2, 3]]
    """
    area_BP = (boxes_BP4[..., 2:] - boxes_BP4[..., :2]).clamp(min=0).prod(-1)
    level = USUAL_LEVEL + torch.log2(area_BP.sqrt() / usual + 1e-12) + 1e-6
    first = torch.log2(torch.tensor(float(strides[0]))).round()
    return torch.nan_to_num(level - first.to(level)).floor().clamp(0, len(strides) - 1).long()


def pyramid_align(
    maps: Sequence[Tensor],
    boxes_BP4: Tensor,
    size: int = 7,
    *,
    strides: Sequence[float],
    level_BP: Tensor | None = None,
    samples: int = 2,
    aligned: bool = True,
) -> Tensor:
    """Maps (B, C, H, W) and boxes in pixels -> (B, P, C, size, size), each box from one map.

    That map is `level_BP`, by default `pyramid_level`. The rest is as in `roi_align`.

    >>> maps = [torch.ones(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)]
    >>> pyramid_align(maps, torch.tensor([[[0.0, 0, 16, 16]]]), 3, strides=[4, 8]).sum()
    tensor(18.)
    """
    check_counts(size=size, samples=samples)
    for m, stride in zip(maps, strides, strict=True):
        check_positive(stride=stride)
        check_regions(m, boxes_BP4)
    level_BP = pyramid_level(boxes_BP4, strides) if level_BP is None else level_BP
    kind = torch.promote_types(maps[0].dtype, torch.float32)
    boxes = torch.where(boxes_BP4.isfinite().all(-1, keepdim=True), boxes_BP4, torch.inf).to(kind)
    sides = torch.tensor([m.shape[-2:] for m in maps], device=boxes.device)
    stride_BP1 = torch.tensor([float(s) for s in strides]).to(boxes)[level_BP][..., None]
    low, high = (boxes / stride_BP1 - 0.5 * aligned).split(2, -1)
    if not aligned:
        high = low + (high - low).clamp(min=1)
    spread = partial(interpolation, bins=size, samples=samples)
    y, y_weight = spread(low[..., 1], high[..., 1], sides[level_BP, 0])
    x, x_weight = spread(low[..., 0], high[..., 0], sides[level_BP, 1])
    batch, regions = level_BP.shape
    first = torch.cat([sides.new_zeros(1), sides.prod(1).cumsum(0)])
    image = torch.arange(batch, device=boxes.device)[:, None] * first[-1]
    wide = sides[level_BP, 1][..., None, None]
    row = (first[level_BP] + image)[..., None, None] + y * wide
    cells = row[..., :, None, :, None] + x[..., None, :, None, :]
    weights = y_weight[..., :, None, :, None] * x_weight[..., None, :, None, :]
    table = torch.cat([m.flatten(2) for m in maps], 2).transpose(1, 2).flatten(0, 1).to(kind)
    rows, bag = batch * regions * size**2, (2 * samples) ** 2
    out = F.embedding_bag(
        cells.reshape(rows, bag), table, per_sample_weights=weights.reshape(rows, bag), mode="sum"
    )
    out = out.view(batch, regions, size, size, table.shape[1]).permute(0, 1, 4, 2, 3)
    return out.to(maps[0].dtype)


def interpolation(
    low: Tensor, high: Tensor, length: Tensor, *, bins: int, samples: int
) -> tuple[Tensor, Tensor]:
    """Ends of an interval in cells, cells there are -> cells (.., bins, 2 samples), their weights.

    >>> cells, weights = interpolation(*torch.tensor([[0.25], [2.25], [8]]), bins=1, samples=1)
    >>> cells.tolist(), weights.tolist()
    ([[[1, 2]]], [[[0.75, 0.25]]])
    """
    step = ((high - low) / bins)[..., None, None]
    place = (torch.arange(samples).to(low) + 0.5) / samples + torch.arange(bins).to(low)[:, None]
    where = low[..., None, None] + place * step
    most = (length[..., None, None] - 1).to(low)
    inside = (where >= -1) & (where <= most + 1)  # false for NaN
    where = torch.minimum(torch.where(inside, where, 0).clamp(min=0), most)
    before = where.detach().floor()
    share = where - before
    cells = torch.cat([before, torch.minimum(before + 1, most)], -1).long()
    weights = torch.cat([(1 - share) * inside, share * inside], -1)
    return cells, weights / samples
