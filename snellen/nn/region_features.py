"""What a region looks like, in the order of history: R-CNN (arXiv:1311.2524) warps its pixels and
runs the network on each; SPP-net (arXiv:1406.4729) runs it once and pools the region of its map in
pyramids; Fast R-CNN (arXiv:1504.08083) keeps one level of the pyramid. Notes 003 and 004.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.parts import Part
from .region_align import roi_align
from .region_pool import roi_pool

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


def warp_regions(x_BCHW: Tensor, boxes_BP4: Tensor, size: int) -> Tensor:
    """Pictures and boxes -> each region bent to size x size, (B * P, C, size, size).

    >>> warp_regions(torch.zeros(2, 3, 40, 40), torch.tensor([[[0.0, 0, 9, 30]]] * 2), 16).shape
    torch.Size([2, 3, 16, 16])
    """
    return roi_align(x_BCHW, boxes_BP4, size).flatten(0, 1)


def pool_regions(
    x_BCHW: Tensor, boxes_BP4: Tensor, levels: Sequence[int] = (6, 3, 2, 1), *, stride: float = 1.0
) -> Tensor:
    """Maps and boxes in pixels -> (B, P, C * sum of l * l), level by level as `SpatialPyramidPool`.

    >>> pool_regions(torch.zeros(1, 8, 6, 6), torch.tensor([[[0.0, 0, 40, 80]]]), stride=16).shape
    torch.Size([1, 1, 400])
    """
    pooled = [roi_pool(x_BCHW, boxes_BP4, level, stride=stride).flatten(2) for level in levels]
    return torch.cat(pooled, 2)
