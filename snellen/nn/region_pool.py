"""RoI pooling, Fast R-CNN (arXiv:1504.08083): the largest value in each bin of a region of a map.

A box is rounded to whole cells, both ends included, and cut into size x size bins, which share
cells where the box does not come out even. The largest value of any rectangle is the largest of
four windows of sides 2^a x 2^b in its corners, so a table of windows answers all bins at once.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.numbers import check_counts, check_positive
from ..core.parts import Part

PARTS = {
    "RoI pooling": Part(
        "Detection and segmentation", "sn.nn.roi_pool",
        "the largest value in each of size x size bins of a box, rounded to cells", "003 004",
    )
}  # fmt: skip


def roi_pool(x_BCHW: Tensor, boxes_BP4: Tensor, size: int = 7, *, stride: float = 1.0) -> Tensor:
    """x_BCHW and boxes of each image in pixels (a cell has `stride`) -> (B, P, C, size, size).

    Bins without a cell are 0, and so is a box that is not finite. Gradients go to the largest cell.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> roi_pool(x, torch.tensor([[[0.0, 0, 2, 3]]]), 2)[0, 0, 0].tolist()
    [[5.0, 6.0], [13.0, 14.0]]
    """
    check_counts(size=size)
    check_positive(stride=stride)
    if not boxes_BP4.numel():
        return x_BCHW.new_zeros(*boxes_BP4.shape[:2], x_BCHW.shape[1], size, size)
    ends_BP4 = boxes_BP4.detach() / stride
    lost_BP = ~ends_BP4.isfinite().all(-1)
    far = 4.0 * size * max(x_BCHW.shape[2:])  # what lies farther out is out as well
    ends_BP4 = torch.nan_to_num(ends_BP4).clamp(-far, far)
    ends_BP4 = (ends_BP4 + 0.5 * ends_BP4.sign()).trunc().long()
    top, down = _bins(ends_BP4[..., 1], ends_BP4[..., 3], x_BCHW.shape[2], size)
    left, across = _bins(ends_BP4[..., 0], ends_BP4[..., 2], x_BCHW.shape[3], size)
    y, down = top[..., :, None], down[..., :, None]
    x, across = left[..., None, :], across[..., None, :]
    empty = (down < 1) | (across < 1) | lost_BP[..., None, None]
    a, b = _power(down), _power(across)
    table_BNC, first_AB = _windows(x_BCHW, int(a.max()) + 1, int(b.max()) + 1)
    image = torch.arange(len(table_BNC), device=x.device)[:, None, None, None]
    begin = image * table_BNC.shape[1] + first_AB[a, b]
    wide = x_BCHW.shape[3] - 2**b + 1  # windows of this width in a row
    later_y = y + (down - 2**a).clamp(min=0)
    later_x = x + (across - 2**b).clamp(min=0)
    corners = [begin + v * wide + u for v in (y, later_y) for u in (x, later_x)]
    rows = torch.stack(corners).masked_fill(empty, 0)
    found = F.embedding(rows, table_BNC.flatten(0, 1)).max(0).values
    return found.masked_fill(empty[..., None], 0).permute(0, 1, 4, 2, 3)


def _bins(low: Tensor, high: Tensor, length: int, size: int) -> tuple[Tensor, Tensor]:
    """First and last cell -> where each bin begins (.., size), and its cells inside the map."""
    count = (high - low + 1).clamp(min=1)[..., None]
    bins = torch.arange(size, device=low.device)
    begin = low[..., None] + bins * count // size
    end = low[..., None] - (-(bins + 1) * count // size)
    begin, end = begin.clamp(0, length), end.clamp(0, length)
    return begin.clamp(max=length - 1), end - begin


def _power(count: Tensor) -> Tensor:
    """The largest a with 2^a <= count; exact, as counts are far below 2^24."""
    return count.clamp(min=1).float().log2().floor().long()


def _windows(x_BCHW: Tensor, high: int, wide: int) -> tuple[Tensor, Tensor]:
    """The largest of all windows of sides 2^a x 2^b -> (B, windows, C), the first of each a, b."""
    pooled = [
        F.max_pool2d(x_BCHW, (2**a, 2**b), 1).flatten(2) for a in range(high) for b in range(wide)
    ]
    counts = torch.tensor([0, *(p.shape[2] for p in pooled[:-1])])
    first_AB = counts.cumsum(0).view(high, wide).to(x_BCHW.device)
    return torch.cat(pooled, 2).transpose(1, 2), first_AB
