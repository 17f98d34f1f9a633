"""Gradients of a depthwise convolution where oneDNN's own in bfloat16 are slow, by way of others.

With a stride, its gradient at the input takes some twenty times as long as its forward convolution.
Here the gradient at the output is spread over a grid of the input's spacing, zeros between, and
convolved with the turned weights, which computes the same sum. On maps smaller than the kernel, its
gradient at the weights takes fifty times as long as on a map with zeros around it, which add
nothing to the sum.
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


def roomy_gradient(x: Tensor, weight: Tensor, grad: Tensor, *, geometry: Geometry) -> Tensor:
    """x_BCHW, weight_C1hw, the gradient at the output (B, C, H', W') -> that of the weights C1hw.

    >>> geometry, ones = Geometry((3, 3), (1, 1), (1, 1)), torch.ones(1, 1, 2, 2)
    >>> roomy_gradient(ones, torch.ones(1, 1, 3, 3), ones, geometry=geometry)[0, 0, 1].tolist()
    [2.0, 4.0, 2.0]
    """
    missing = [max(0, n) for n in lacking((x.shape[2], x.shape[3]), geometry)]
    wide = F.pad(x, (0, missing[1], 0, missing[0]))
    height, width = geometry.out((wide.shape[2], wide.shape[3]))
    wide_grad = F.pad(grad, (0, width - grad.shape[3], 0, height - grad.shape[2]))
    inputs = (v.contiguous(memory_format=torch.channels_last) for v in (wide_grad, wide))
    _, to_weight, _ = torch.ops.aten.convolution_backward(
        *inputs, weight, None, *geometry[1:], False, [0, 0], len(weight), [False, True, False]
    )
    found: Tensor = to_weight
    return found


def lacking(size: Pair, geometry: Geometry) -> Pair:
    """Rows and columns that a map of (H, W) lacks to be as large as the kernel; negative: more.

    >>> lacking((2, 7), Geometry((3, 3)))
    (1, -4)
    """
    pairs = zip(size, geometry.kernel, geometry.dilation, strict=True)
    rows, columns = (d * (k - 1) + 1 - n for n, k, d in pairs)
    return rows, columns
