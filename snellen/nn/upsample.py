"""Up-sampling by a transposed convolution that starts as bilinear interpolation (arXiv:1411.4038).

Each output is a mean of the values about it, weighted by a triangle as wide as two strides. Unlike
`torch.nn.Upsample(mode="bilinear")`, which repeats the edge, values fade beyond it, and the weights
can be learned. `crop` takes off what up-sampling an odd size gave too much.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

PARTS = {
    "Bilinear up-sampling": Part(
        "Layers and shapes",
        "torch.nn.Upsample",
        "mode='bilinear': between the centres of the pixels, the edge repeated",
        "003",
    ),
    "Transposed convolution from bilinear weights": Part(
        "Layers and shapes",
        "sn.nn.BilinearUp, sn.nn.bilinear_",
        "FCN's up-sampling: a ConvTranspose2d that begins as bilinear interpolation",
        "003",
    ),
}


def bilinear_(weight: Tensor) -> Tensor:
    """weight_IOhw of a transposed convolution -> the same, in place: from channel i to channel i a
    triangle over h and w, to the others nothing; of groups, from each to its own.

    Raises UsageError where channels in and out a group cannot be paired.

    >>> bilinear_(torch.empty(1, 1, 4, 4))[0, 0, 1] * 16
    tensor([3., 9., 9., 3.])
    """
    cin, cout, *sizes = weight.shape
    if cin != cout and cout != 1:
        raise UsageError(
            f"a weight of shape {tuple(weight.shape)} leads no channel to itself; "
            "give as many channels out as in, or groups=channels"
        )
    down, right = (_triangle(size) for size in sizes)
    own = torch.eye(cin) if cout == cin else torch.ones(cin, 1)
    with torch.no_grad():
        return weight.copy_(own[:, :, None, None] * (down[:, None] * right))


def _triangle(size: int) -> Tensor:
    """The weights of `size` pixels about a value, highest in the middle."""
    stride = (size + 1) // 2
    places = torch.arange(size, dtype=torch.float32)
    return 1 - (places - (size - 1) / 2).abs() / stride


class BilinearUp(nn.Module):
    """x_BCHW -> (B, C, H * stride, W * stride): each channel for itself, weights to be learned.

    Raises UsageError for an odd stride, whose output would lie half a pixel off.

    >>> BilinearUp(1, 2)(torch.ones(1, 1, 2, 2))[0, 0, 1]
    tensor([0.7500, 1.0000, 1.0000, 0.7500], grad_fn=<SelectBackward0>)
    """

    def __init__(self, channels: int, stride: int = 2) -> None:
        super().__init__()
        check_counts(channels=channels)
        if stride < 2 or stride % 2:
            raise UsageError(f"up-sampling by stride {stride}; an even one is wanted")
        self.stride = stride
        self.conv = nn.ConvTranspose2d(
            channels, channels, 2 * stride, stride, stride // 2, groups=channels, bias=False
        )
        bilinear_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C, H * stride, W * stride)."""
        return self.conv(x)

    def with_outputs(self, channels: int) -> "BilinearUp":
        """The same for another number of channels, fresh."""
        return BilinearUp(channels, self.stride).to(self.conv.weight)


def crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """x_BCHW -> (B, C, *size): what lies to the right and below is cut off.

    Raises UsageError where x is smaller.

    >>> crop(torch.zeros(1, 2, 6, 8), (5, 7)).shape
    torch.Size([1, 2, 5, 7])
    """
    height, width = size
    if height > x.shape[-2] or width > x.shape[-1]:
        raise UsageError(f"a map of {x.shape[-2]}x{x.shape[-1]} cannot be cut to {height}x{width}")
    return x[..., :height, :width]
