"""What a region looks like, in the order of history: R-CNN (arXiv:1311.2524) warps its pixels and
runs the network on each; SPP-net (arXiv:1406.4729) runs it once and pools the region of its map in
pyramids; Fast R-CNN (arXiv:1504.08083) keeps one level of the pyramid. Notes 003 and 004.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.numbers import check_counts
from ..core.parts import Part
from ._regions import check_regions
from .region_pool import roi_pools

SEEING = "Detection and segmentation"
PARTS = {
    "R-CNN": Part(
        SEEING, "sn.nn.warp_regions, sn.nn.fit_judge",
        "each region warped to one size and sent through the network; SVMs and box regression",
        "003 004",
    ),
    "SPP-net on regions": Part(
        SEEING, "sn.nn.pool_regions",
        "maps once a picture, each region's part of them pooled in l x l bins; one level: "
        "Fast R-CNN", "004",
    ),
}  # fmt: skip
AT_ONCE = 2**22  # numbers that are held while regions are warped


def warp_regions(x_BCHW: Tensor, boxes_BP4: Tensor, size: int) -> Tensor:
    """Pictures and boxes -> each region bent to size x size, (B * P, C, size, size).

    A pixel is interpolated from those around it; where a region shrinks, from as many more, so that
    none is passed over. Nothing outside of the picture counts. Raises UsageError where there are
    not boxes for each picture.

    >>> warp_regions(torch.zeros(2, 3, 40, 40), torch.tensor([[[0.0, 0, 9, 30]]] * 2), 16).shape
    torch.Size([2, 3, 16, 16])
    """
    check_counts(size=size)
    check_regions(x_BCHW, boxes_BP4)
    images, channels, height, width = x_BCHW.shape
    x_BHE = x_BCHW.float().transpose(1, 2).flatten(2)  # E is channels and columns
    each = images * size * (channels * (size + width) + height + width)  # numbers of one region
    warped = []
    for some_BP4 in boxes_BP4.float().split(max(1, AT_ONCE // max(1, each)), 1):
        x1, y1, x2, y2 = some_BP4.unbind(2)
        rows_BPSH, cols_BPSW = _shares(y1, y2, height, size), _shares(x1, x2, width, size)
        low_BPSE = (rows_BPSH.flatten(1, 2) @ x_BHE).unflatten(1, rows_BPSH.shape[1:3])
        low_BPEW = low_BPSE.flatten(2).unflatten(2, (size * channels, width))
        crops = (low_BPEW @ cols_BPSW.transpose(2, 3)).unflatten(2, (size, channels))
        warped.append(crops.transpose(2, 3).to(x_BCHW.dtype, memory_format=torch.contiguous_format))
    return torch.cat(warped, 1).flatten(0, 1)


def _shares(low_BP: Tensor, high_BP: Tensor, length: int, size: int) -> Tensor:
    """Ends of intervals -> the share of each of `length` pixels in each of `size`: a triangle as
    wide as a pixel of the coarser of both grids, (B, P, size, length). Not finite: 0.
    """
    step_BP1 = ((high_BP - low_BP) / size)[..., None]
    middle = low_BP[..., None] + (torch.arange(size).to(low_BP) + 0.5) * step_BP1 - 0.5
    away = (torch.arange(length).to(low_BP) - middle[..., None]).abs()
    shares = torch.nan_to_num(1 - away / step_BP1[..., None].clamp(min=1), neginf=0).clamp(min=0)
    return shares / shares.sum(-1, keepdim=True).clamp(min=1e-12)


def pool_regions(
    x_BCHW: Tensor, boxes_BP4: Tensor, levels: Sequence[int] = (6, 3, 2, 1), *, stride: float = 1.0
) -> Tensor:
    """Maps and boxes in pixels -> (B, P, C * sum of l * l), level by level as `SpatialPyramidPool`.

    >>> pool_regions(torch.zeros(1, 8, 6, 6), torch.tensor([[[0.0, 0, 40, 80]]]), stride=16).shape
    torch.Size([1, 1, 400])
    """
    pooled = roi_pools(x_BCHW, boxes_BP4, levels, stride=stride)
    return torch.cat([one.flatten(2) for one in pooled], 2)
