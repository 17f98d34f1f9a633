"""Spatial pyramid pooling, SPP-net (arXiv:1406.4729, notes 004): any picture size, one vector.

Each map is cut into l x l bins for every level l, and the largest value of each bin is kept: the
fully connected layers behind it see as many numbers whatever the picture's size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Spatial pyramid pooling": Part(
        "Layers and shapes",
        "sn.nn.SpatialPyramidPool",
        "largest value in each of l x l bins, for several l: maps of any size into one vector",
        "004",
    ),
}


class SpatialPyramidPool(nn.Module):
    """x_BCHW -> (B, C * sum of l * l): level by level; within one, channel by channel.

    Bin i of l spans floor(i * H / l) to ceil((i + 1) * H / l), as in the paper's 2.4 for regions.
    Raises UsageError where a level has no bin, and for other than maps.

    >>> SpatialPyramidPool((2, 1))(torch.zeros(3, 8, 13, 9)).shape
    torch.Size([3, 40])
    """

    def __init__(self, levels: Sequence[int] = (6, 3, 2, 1)) -> None:
        super().__init__()
        if not levels or min(levels) < 1:
            raise UsageError(
                f"pyramid levels {tuple(levels)}; bins a side are wanted, as (4, 2, 1)"
            )
        self.levels = tuple(levels)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C * sum of l * l)."""
        if x.ndim != 4 or 0 in x.shape[1:]:
            raise UsageError(
                f"x of shape {tuple(x.shape)}; maps (B, C, H, W) are wanted, of 1 pixel at least"
            )
        return torch.cat([F.adaptive_max_pool2d(x, level).flatten(1) for level in self.levels], 1)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"levels={self.levels}"
