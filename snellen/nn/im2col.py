"""Convolution as one matrix product (im2col), on tensors whose channels lie together.

A window of k x k pixels is a row of k*k*C numbers, so that a convolution is a product of all
windows with the weights. With the channels last, a row is k copies of k*C numbers that lie
together, which makes the gathering cheap; on small maps with many channels the product is then
faster than the direct convolution of the libraries (docs/performance.md). Groups are not done here.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How the windows lie: (vertical, horizontal) each."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def out(self, size: Pair) -> Pair:
        """Height and width of the output for those of the input.

        >>> Geometry((3, 3), (2, 2), (1, 1)).out((8, 8))
        (4, 4)
        """
        height, width = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, *self, strict=True)
        )
        return height, width

    def reach(self) -> Pair:
        """Pixels by which the kernel reaches beyond the padding; negative where padding is wider.

        >>> Geometry((3, 3), padding=(1, 1)).reach()
        (1, 1)
        """
        down, right = (
            d * (k - 1) - p
            for k, p, d in zip(self.kernel, self.padding, self.dilation, strict=True)
        )
        return down, right

    def is_apart(self) -> bool:
        """Whether windows lie side by side: each pixel is in one at most.

        >>> Geometry((2, 2), (2, 2)).is_apart(), Geometry((3, 3), (2, 2)).is_apart()
        (True, False)
        """
        return self == Geometry(self.kernel, self.kernel)


def matrix_conv(x: Tensor, weight: Tensor, bias: Tensor | None, *, geometry: Geometry) -> Tensor:
    """x_BCHW, weight_OChw -> (B, O, H', W'), channels last; equals `F.conv2d`.

    >>> x, w = torch.rand(1, 2, 5, 5), torch.rand(3, 2, 3, 3)
    >>> got = matrix_conv(x, w, None, geometry=Geometry((3, 3), padding=(1, 1)))
    >>> torch.allclose(got, F.conv2d(x, w, padding=1), atol=1e-5)
    True
    """
    return _product(x, _flat(weight).t(), geometry, bias)


def weight_gradient(x: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """x_BCHW, the gradient at the output (B, O, H', W') -> that of the weights (O, C, h, w)."""
    rows = windows(x, geometry).flatten(3).flatten(0, 2)
    out = _pixels(grad).t().contiguous() @ rows  # which the product reads quicker
    return out.view(-1, *geometry.kernel, x.shape[1]).permute(0, 3, 1, 2)


def input_gradient(size: Pair, weight: Tensor, grad: Tensor, *, geometry: Geometry) -> Tensor:
    """The gradient at the output -> that of the input (B, C, H, W), whose (H, W) is `size`.

    With stride 1 it is a convolution of the turned weights; windows that lie apart are sorted into
    their places; else each window's share is added up.
    """
    reach = geometry.reach()
    if geometry.stride == (1, 1) and min(reach) >= 0:
        turned = Geometry(geometry.kernel, padding=reach, dilation=geometry.dilation)
        taps = weight.permute(2, 3, 0, 1).flatten(0, 1).unbind()
        return _product(grad, torch.cat(taps[::-1]), turned)
    return _add_windows(size, weight, grad, geometry)


def windows(x: Tensor, geometry: Geometry) -> Tensor:
    """x_BCHW -> (B, H', W', h, w, C): a view of the padded input, nothing copied yet."""
    (vertical, horizontal), (down, right) = geometry.padding, geometry.dilation
    pixels = x.permute(0, 2, 3, 1)
    if vertical or horizontal:
        pixels = F.pad(pixels, (0, 0, horizontal, horizontal, vertical, vertical))
    b, h, w, c = pixels.stride()
    height, width = geometry.out((x.shape[2], x.shape[3]))
    return pixels.as_strided(
        (x.shape[0], height, width, *geometry.kernel, x.shape[1]),
        (b, h * geometry.stride[0], w * geometry.stride[1], h * down, w * right, c),
    )


def _product(x: Tensor, matrix: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """x_BCHW, matrix (h * w * C, O) -> (B, O, H', W'), channels last."""
    places = windows(x, geometry)
    rows = places.flatten(3).flatten(0, 2)
    out = rows @ matrix if bias is None else torch.addmm(bias, rows, matrix)
    return out.unflatten(0, places.shape[:3]).permute(0, 3, 1, 2)


def _add_windows(size: Pair, weight: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    (vertical, horizontal), (down, right) = geometry.padding, geometry.dilation
    batch, _, height, width = grad.shape
    shares = (_pixels(grad) @ _flat(weight)).view(
        batch, height, width, *geometry.kernel, weight.shape[1]
    )
    tall, wide = geometry.kernel
    if geometry.is_apart() and size == (height * tall, width * wide):
        return shares.transpose(2, 3).reshape(batch, *size, -1).permute(0, 3, 1, 2)
    padded = (batch, size[0] + 2 * vertical, size[1] + 2 * horizontal, weight.shape[1])
    out = grad.new_zeros(padded)
    for i in range(geometry.kernel[0]):
        for j in range(geometry.kernel[1]):
            rows = slice(i * down, i * down + geometry.stride[0] * height, geometry.stride[0])
            columns = slice(j * right, j * right + geometry.stride[1] * width, geometry.stride[1])
            out[:, rows, columns] += shares[:, :, :, i, j]
    inside = out[:, vertical : vertical + size[0], horizontal : horizontal + size[1]]
    return inside.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _flat(weight: Tensor) -> Tensor:
    """weight_OChw -> (O, h * w * C), a view where the channels lie together."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _pixels(maps: Tensor) -> Tensor:
    """maps_BOHW -> (B * H * W, O), a view where the channels lie together."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
