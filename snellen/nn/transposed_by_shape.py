"""Transposed convolutions that take, shape by shape, the quicker of the library's way and another.

What a transposed convolution gives is the gradient of a convolution at its input, and its gradients
are that convolution and its gradient at the weights: the products of im2col.py with the parts
changed over. Where windows do not overlap, as in the 2x2 steps upwards of a U-Net, the output is
one product whose pixels are sorted. The gradient at the bias is a sum of its own.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part
from ._choosing import (
    FEW_CHANNELS,
    LARGE_MAP,
    computed_in,
    geometry_of,
    key_of,
    library_gradient,
    may_choose,
)
from ._traced import as_plain, is_traced, unchosen
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
        out: Tensor = _Transposed.apply(
            x.to(dtype), self.weight.to(dtype), bias, geometry_of(self), self._beyond(),
            self.quickest,
        )  # fmt: skip
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


class _Transposed(torch.autograd.Function):
    """The transposed convolution and its gradients, each in its quicker way."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        beyond: Pair,
        quickest: Quickest,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.beyond, ctx.quickest = geometry, beyond, quickest
        ctx.has_bias = bias is not None
        _, stride, padding, dilation = geometry

        def library() -> Tensor:
            return F.conv_transpose2d(x, weight, bias, stride, padding, beyond, 1, dilation)

        def product() -> Tensor:
            size = _grown((x.shape[2], x.shape[3]), geometry, beyond)
            out = input_gradient(size, weight, x, geometry=geometry)
            return out if bias is None else out.add_(bias[:, None, None])

        out = _quicker(quickest, "output", x, weight, geometry, library, product)
        return out.detach()  # no view any more, which no in-place activation behind it could change

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):  # which somebody may call us in
            return *_gradients(ctx, grad), None, None, None


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients at x, weight and bias, where they are wanted."""
    x, weight = ctx.saved_tensors
    geometry, is_looked_at = ctx.geometry, is_traced(grad)
    grad = grad if is_looked_at else grad.contiguous(memory_format=torch.channels_last)

    def quicker(to: int, other: Callable[[], Tensor]) -> Tensor:
        def library() -> Tensor:
            return library_gradient(
                to, grad, x, weight, geometry=geometry, transposed=True, beyond=ctx.beyond
            )

        what = ("to input", "to weight")[to]
        return library() if is_looked_at else _quicker(
            ctx.quickest, what, x, weight, geometry, library, other
        )  # fmt: skip

    to_x = to_weight = to_bias = None
    if ctx.needs_input_grad[0]:
        to_x = quicker(0, lambda: matrix_conv(grad, weight, None, geometry=geometry))
    if ctx.needs_input_grad[1]:
        to_weight = quicker(1, lambda: weight_gradient(grad, x, geometry))
    if ctx.has_bias and ctx.needs_input_grad[2]:
        to_bias = grad.sum((0, 2, 3))
    return to_x, to_weight, to_bias


def _quicker(
    quickest: Quickest,
    what: str,
    x: Tensor,
    weight: Tensor,
    geometry: Geometry,
    library: Callable[[], Tensor],
    product: Callable[[], Tensor],
) -> Tensor:
    """What the quicker way gives; nothing is timed where the library always wins."""
    if not geometry.is_apart() and x.shape[2] * x.shape[3] > LARGE_MAP:
        return library()
    return quickest.of(key_of(f"transposed {what}", x, weight, geometry), library, product)


def _grown(size: Pair, geometry: Geometry, beyond: Pair) -> Pair:
    """(H, W) of the input -> of the output."""
    height, width = (
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + b
        for n, k, s, p, d, b in zip(size, *geometry, beyond, strict=True)
    )
    return height, width
