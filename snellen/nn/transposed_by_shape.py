"""Transposed convolutions that take, shape by shape, the quicker of the library's way and another.

What a transposed convolution gives is the gradient of a convolution at its input, and its gradients
are that convolution and its gradient at the weights: the products of im2col.py with the parts
changed over. Where windows do not overlap, as in the 2x2 steps upwards of a U-Net, the output is
one product whose pixels are sorted.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part
from ._choosing import (
    FEW_CHANNELS,
    LARGE_MAP,
    ByShape,
    Sums,
    Way,
    Ways,
    computed_in,
    geometry_of,
    library_gradient,
    may_choose,
)
from ._traced import as_plain, unchosen
from .im2col import Geometry, Pair, input_gradient, matrix_conv, weight_gradient
from .quickest import Quickest

PARTS = {
    "Transposed convolution by shape": Part(
        "Layers and shapes",
        "sn.accelerate, sn.nn.TransposedByShape",
        "the quicker of two ways for the output and each gradient: oneDNN, or a matrix product",
    ),
}


class TransposedByShape(nn.ConvTranspose2d):
    """x_BCHW -> (B, O, H', W'): `nn.ConvTranspose2d`, computed in the quicker of two ways.

    Made by `accelerate`.

    >>> from snellen import accelerate
    >>> net = accelerate(nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2)))
    >>> type(net[0]).__name__, net(torch.zeros(1, 16, 5, 5)).shape
    ('TransposedByShape', torch.Size([1, 8, 10, 10]))
    """

    quickest: Quickest

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """x_BCHW -> (B, O, H', W')."""
        if output_size is not None or not self._has_choice(x):
            more = () if output_size is None else (output_size,)
            return cast(Tensor, unchosen(self, nn.ConvTranspose2d, x, *more))
        dtype = computed_in(x)
        bias = None if self.bias is None else self.bias.to(dtype)
        sums = Transposed(geometry_of(self), self._beyond())
        out: Tensor = ByShape.apply(x.to(dtype), self.weight.to(dtype), bias, sums, self.quickest)
        return out

    def __prepare_scriptable__(self) -> nn.Module:
        return as_plain(self, nn.ConvTranspose2d)

    def _has_choice(self, x: Tensor) -> bool:
        if not may_choose(self, x) or self.groups != 1 or self.in_channels < FEW_CHANNELS:
            return False
        beyond, geometry = self._beyond(), geometry_of(self)
        size = _grown((x.shape[2], x.shape[3]), geometry, beyond)
        if x.shape[1] != self.in_channels or min(len(x), *x.shape[2:], *size) <= 0:
            return False
        fits = all(pad < stride for pad, stride in zip(beyond, geometry.stride, strict=True))
        return fits and x.is_contiguous(memory_format=torch.channels_last)

    def _beyond(self) -> Pair:
        return int(self.output_padding[0]), int(self.output_padding[1])


@dataclass(frozen=True)
class Transposed(Sums):
    """A transposed convolution's; `beyond` are the rows and columns of `output_padding`. On large
    maps, where windows overlap, the library always wins.
    """

    geometry: Geometry
    beyond: Pair = (0, 0)
    word = "transposed "

    def out(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Ways:
        """x_BCHW -> (B, O, H', W')."""
        geometry, beyond = self.geometry, self.beyond
        _, stride, padding, dilation = geometry

        def library() -> Tensor:
            return F.conv_transpose2d(x, weight, bias, stride, padding, beyond, 1, dilation)

        def product() -> Tensor:
            size = _grown((x.shape[2], x.shape[3]), geometry, beyond)
            out = input_gradient(size, weight, x, geometry=geometry)
            return out if bias is None else out.add_(bias[:, None, None])

        return library, self._unless_large(x, product)

    def to_input(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output -> that at x."""

        def product() -> Tensor:
            return matrix_conv(grad, weight, None, geometry=self.geometry)

        return self._library(0, grad, x, weight), self._unless_large(x, product)

    def to_weight(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output -> that at the weight."""

        def product() -> Tensor:
            return weight_gradient(grad, x, self.geometry)

        return self._library(1, grad, x, weight), self._unless_large(x, product)

    def _library(self, to: int, grad: Tensor, x: Tensor, weight: Tensor) -> Way:
        geometry, beyond = self.geometry, self.beyond
        return lambda: library_gradient(
            to, grad, x, weight, geometry=geometry, transposed=True, beyond=beyond
        )

    def _unless_large(self, x: Tensor, other: Way) -> Way | None:
        is_large = x.shape[2] * x.shape[3] > LARGE_MAP
        return None if is_large and not self.geometry.is_apart() else other


def _grown(size: Pair, geometry: Geometry, beyond: Pair) -> Pair:
    """(H, W) of the input -> of the output."""
    height, width = (
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + b
        for n, k, s, p, d, b in zip(size, *geometry, beyond, strict=True)
    )
    return height, width
