"""'Same' padding (notes 001, 004) where PyTorch refuses it: with a stride, and with even kernels.

Out is ceil(in / stride), TensorFlow's rule. What an odd total leaves over goes behind, at the
right and at the bottom, so an even kernel's centre is the pixel left of the middle. At stride 1
that is Conv2d(padding="same") exactly.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

PARTS = {
    "Same padding": Part(
        "Layers and shapes",
        "sn.nn.PadSame, sn.nn.same_padding",
        "ceil(in / stride) outputs for any kernel and stride; the odd pixel behind",
        "001 004",
    ),
}
MODES = ("constant", "reflect", "replicate", "circular")


def same_padding(size: int, kernel: int, stride: int = 1, *, dilation: int = 1) -> tuple[int, int]:
    """The pixels to add before and behind a side of `size`, so that ceil(size / stride) come out.

    Raises UsageError where one of the numbers is not positive or not whole.

    >>> same_padding(5, 2), same_padding(6, 3, 2), same_padding(7, 3, 2)
    ((0, 1), (0, 1), (1, 1))
    """
    if min(size, kernel, stride, dilation) < 1:
        raise UsageError(
            f"size {size}, kernel {kernel}, stride {stride}, dilation {dilation}: "
            "each must be 1 or more"
        )
    check_counts(kernel=kernel, stride=stride, dilation=dilation)
    reach = dilation * (kernel - 1) + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


class PadSame(nn.Module):
    """x_BCHW -> x padded so that a layer with this kernel and stride gives ceil(H / stride).

    `mode` is that of F.pad: constant, reflect, replicate, circular; another raises UnknownName.

    >>> import torch
    >>> nn.Sequential(PadSame(4, 2), nn.Conv2d(3, 8, 4, 2))(torch.zeros(1, 3, 7, 9)).shape
    torch.Size([1, 8, 4, 5])
    """

    def __init__(
        self, kernel: int, stride: int = 1, *, dilation: int = 1, mode: str = "constant"
    ) -> None:
        super().__init__()
        same_padding(1, kernel, stride, dilation=dilation)  # refuses what is not positive
        if mode not in MODES:
            raise UnknownName(mode, MODES, "modes of padding")
        self.kernel, self.stride, self.dilation, self.mode = kernel, stride, dilation, mode

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C, H + above + below, W + left + right)."""
        height, width = x.shape[-2:]
        above_below = same_padding(height, self.kernel, self.stride, dilation=self.dilation)
        left_right = same_padding(width, self.kernel, self.stride, dilation=self.dilation)
        return F.pad(x, left_right + above_below, mode=self.mode)

    def extra_repr(self) -> str:
        """What print shows."""
        dilation = f", dilation={self.dilation}" if self.dilation != 1 else ""
        return f"{self.kernel}, stride={self.stride}{dilation}, mode={self.mode!r}"
