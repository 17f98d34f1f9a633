"""The input gradient of a strided depthwise convolution, as a depthwise convolution without stride.

oneDNN's own one in bfloat16 takes some twenty times as long as its forward convolution. Here the
gradient at the output is spread over a grid of the input's spacing, zeros between, and convolved
with the turned weights, which computes the same sum.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .im2col import Geometry, Pair


def spread_gradient(size: Pair, weight: Tensor, grad: Tensor, *, geometry: Geometry) -> Tensor:
    """weight_C1hw, the gradient at the output (B, C, H', W') -> that of the input (B, C, H, W),
    channels last. `size` is (H, W); no padding may be larger than the kernel's reach.

    >>> geometry = Geometry((3, 3), (2, 2), (1, 1))
    >>> ones = torch.ones(1, 1, 2, 2)
    >>> spread_gradient((4, 4), torch.ones(1, 1, 3, 3), ones, geometry=geometry)[0, 0, 1].tolist()
    [2.0, 4.0, 2.0, 2.0]
    """
    (down, right), reach = geometry.stride, geometry.reach()
    height, width = (n + p - r for n, p, r in zip(size, geometry.padding, reach, strict=True))
    spread = torch.empty(
        (*grad.shape[:2], height, width),
        dtype=grad.dtype,
        device=grad.device,
        memory_format=torch.channels_last,
    ).zero_()
    spread[:, :, : down * grad.shape[2] : down, : right * grad.shape[3] : right] = grad
    turned = weight.flip(2, 3)
    return F.conv2d(spread, turned, None, 1, reach, geometry.dilation, len(weight))
