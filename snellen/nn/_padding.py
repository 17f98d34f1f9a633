"""Where a picture lies in an input that it does not fill: what is around it is 0 in every channel,
and nothing in it is; whoever feeds it sees to that.

Only shapes and comparisons: the same batch by batch, mirrored, and in an exported graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NOTHING = 1e-4  # of a prepared value: the rounding of what is 0


@dataclass(frozen=True)
class Placed:
    """Of each row and column of a batch the nearest one in the picture, (B, H) and (B, W).

    >>> x = torch.tensor([[[[0.0, 3, 0, 5, 0, 0]]]])
    >>> placed = Placed.of(x)
    >>> placed.drawn_out(x).tolist(), placed.inside(x).tolist()
    ([[[[3.0, 3.0, 0.0, 5.0, 5.0, 5.0]]]], [[[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]])
    >>> [value.item() for value in placed.moments(x)]
    [2.6666667461395264, 4.222222328186035]
    """

    down_BH: Tensor
    right_BW: Tensor

    @classmethod
    def of(cls, x_BCHW: Tensor) -> "Placed":
        """x_BCHW -> where its pictures lie. Nothing but 0 is a picture as a whole."""
        there_BHW = x_BCHW.abs().amax(1) > NOTHING
        return cls(_nearest(there_BHW.any(2)), _nearest(there_BHW.any(1)))

    @classmethod
    def whole(cls, x_BCHW: Tensor) -> "Placed":
        """x_BCHW, every place of which is a picture's."""
        return cls(*(torch.arange(side, device=x_BCHW.device)[None] for side in x_BCHW.shape[2:]))

    def drawn_out(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> the same with the pictures' edges going on beside them."""
        x_BCHW = x_BCHW.gather(2, self.down_BH[:, None, :, None].expand_as(x_BCHW))
        return x_BCHW.gather(3, self.right_BW[:, None, None, :].expand_as(x_BCHW))

    def inside(self, x_BCHW: Tensor) -> Tensor:
        """1 where a picture is, else 0: (B, 1, H, W) of x's type."""
        high_BH, wide_BW = (
            near_BL == torch.arange(near_BL.shape[1], device=near_BL.device)
            for near_BL in (self.down_BH, self.right_BW)
        )
        return (high_BH[:, None, :, None] & wide_BW[:, None, None, :]).to(x_BCHW.dtype)

    def moments(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCHW -> mean and variance of each channel of each picture, (B, C, 1, 1)."""
        inside_B1HW = self.inside(x_BCHW)
        count = inside_B1HW.sum((2, 3), keepdim=True)
        mean = (x_BCHW * inside_B1HW).sum((2, 3), keepdim=True) / count
        apart = (x_BCHW - mean) * inside_B1HW
        return mean, apart.square().sum((2, 3), keepdim=True) / count


def _nearest(there_BL: Tensor) -> Tensor:
    """Which lines hold something -> for each line the nearest of the run from the first of these to
    the last.
    """
    place_L = torch.arange(there_BL.shape[1], device=there_BL.device)
    first_B1 = there_BL.int().argmax(1, keepdim=True)  # 0 where there is none, so the run is all
    last_B1 = len(place_L) - 1 - there_BL.flip(1).int().argmax(1, keepdim=True)
    return torch.minimum(torch.maximum(place_L, first_B1), last_B1)
