"""Local contrast normalisation (Jarrett et al. 2009, "What is the best multi-stage architecture for
object recognition?"; Pinto et al. 2008): a picture without its uneven light.

A pixel less the mean of its surroundings, over their deviation. Theirs are weighted by a Gaussian
around each pixel; here squares are averaged at every half of their side and blended in between, so
it costs next to nothing. A square has a pixel in its middle, so its side is odd.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from ._padding import Placed

PARTS = {
    "Local contrast normalisation": Part(
        "Layers and shapes",
        "sn.nn.LocalContrast",
        "a pixel less the mean of its surroundings, over their deviation: uneven light is gone",
    ),
}
EPS = 1e-7  # of the variance: a picture without any contrast stays 0


class LocalContrast(nn.Module):
    """x_BCHW -> the same shape, each channel by itself; `window` is the side of the surroundings.

    `least` is the variance that is added to that of a place, a share of the whole picture's, so
    that the grain of an even ground stays small. Beyond the edge its pixels go on. Raises
    UsageError for a window that is no odd number from 1 up.

    >>> x_BCHW = torch.arange(64.0).view(1, 1, 8, 8).expand(2, 1, 8, 8)
    >>> bright = LocalContrast(5)(x_BCHW * torch.tensor([1.0, 9.0]).view(2, 1, 1, 1))
    >>> bool(torch.allclose(bright[0], bright[1], atol=1e-4))
    True
    """

    def __init__(self, window: int = 33, least: float = 0.01) -> None:
        super().__init__()
        check_counts(window=window)
        if window % 2 == 0:
            raise UsageError(f"window={window}; an odd number is wanted, so that a pixel is in its "
                             f"middle: {window + 1} for example")  # fmt: skip
        self.window, self.least = window, least

    def forward(self, x_BCHW: Tensor, placed: Placed | None = None) -> Tensor:
        """x_BCHW, and where its pictures lie if they do not fill it -> contrast_BCHW."""
        placed = placed or Placed.whole(x_BCHW)
        x_BCHW = placed.drawn_out(x_BCHW)
        apart = placed.drawn_out(x_BCHW - around(x_BCHW, self.window))
        least = self.least * placed.moments(x_BCHW)[1] + EPS
        return apart * torch.rsqrt(around(apart.square(), self.window) + least)

    def extra_repr(self) -> str:
        """What a print of the network shows."""
        return f"window={self.window}"


def around(x_BCHW: Tensor, window: int) -> Tensor:
    """x_BCHW -> the mean of each place's surroundings, the same shape; an odd window has a middle.

    >>> around(torch.full((1, 1, 5, 3), 7.0), 5)[0, 0, 4]
    tensor([7., 7., 7.])
    """
    height, width = x_BCHW.shape[-2:]
    step, half = max(1, window // 2), window // 2
    down, right = (-(-side // step) * step for side in (height, width))
    edges = (half, half + right - width + 1, half, half + down - height + 1)
    means = F.avg_pool2d(F.pad(x_BCHW, edges, mode="replicate"), window, step)
    size = (down + 1, right + 1)
    blended = F.interpolate(means, size, mode="bilinear", align_corners=True)
    return blended[..., :height, :width]
