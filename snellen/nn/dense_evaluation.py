"""Fully connected layers as convolutions and back (notes 003): one pass over a larger picture.

A Linear over maps of C x h x w is a convolution with an h x w kernel, the ones behind it are 1x1:
a classifier slides over any picture, and gives logits for each place. That equals the classifier on
each window of the maps exactly. It equals the whole network on each window of the *picture* only
where no layer pads: inside a larger picture a window's border sees pixels in the place of zeros.
"""

import copy

import torch
from torch import nn

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "FC <-> convolution": Part(
        "Layers and shapes",
        "sn.nn.conv_from_linear, sn.nn.linear_from_conv, sn.nn.convolutional_head",
        "a Linear over maps as a convolution and back; a classifier that slides over the picture",
        "003",
    ),
}
PER_PLACE = (nn.ReLU, nn.Dropout, nn.Identity, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.GELU,
             nn.SiLU, nn.Hardswish, nn.ReLU6)  # fmt: skip


@torch.no_grad()
def conv_from_linear(linear: nn.Linear, size: tuple[int, int] = (1, 1)) -> nn.Conv2d:
    """A Linear over flattened maps of C x size -> the same as a convolution, x_BCHW -> (B, O, ..).

    Raises UsageError where its inputs are not maps of that size.

    >>> conv_from_linear(nn.Linear(512 * 7 * 7, 10), (7, 7)).weight.shape
    torch.Size([10, 512, 7, 7])
    """
    channels, rest = divmod(linear.in_features, size[0] * size[1])
    if rest:
        raise UsageError(
            f"a Linear over {linear.in_features} numbers does not see maps of {size[0]}x{size[1]}"
        )
    conv = nn.Conv2d(channels, linear.out_features, size, bias=linear.bias is not None)
    conv.to(linear.weight)
    conv.weight.copy_(linear.weight.view_as(conv.weight))
    if conv.bias is not None and linear.bias is not None:
        conv.bias.copy_(linear.bias)
    return conv


@torch.no_grad()
def linear_from_conv(conv: nn.Conv2d, size: tuple[int, int]) -> nn.Linear:
    """A convolution over maps of `size` -> the same as a Linear, flat x_BI -> flat (B, O).

    Its matrix is mostly zeros, and each filter stands in it once for each place.

    >>> linear_from_conv(nn.Conv2d(1, 1, 2, bias=False), (2, 3)).weight.shape
    torch.Size([2, 6])
    """
    plain = copy.deepcopy(conv)
    plain.bias = None
    inputs = conv.in_channels * size[0] * size[1]
    basis = torch.eye(inputs, dtype=conv.weight.dtype, device=conv.weight.device)
    columns = plain(basis.view(inputs, conv.in_channels, *size))
    linear = nn.Linear(inputs, columns[0].numel(), bias=conv.bias is not None).to(conv.weight)
    linear.weight.copy_(columns.flatten(1).T)
    if conv.bias is not None:
        linear.bias.copy_(conv.bias.repeat_interleave(columns[0, 0].numel()))
    return linear


def convolutional_head(head: nn.Module, size: tuple[int, int] | None = None) -> nn.Sequential:
    """A classifier of maps -> its convolutional form, x_BCHW -> logits_BKhw; a copy.

    `size` (h, w) is what its first Linear sees; without it that of its AdaptiveAvgPool2d, which is
    left out, as flattening is. Raises UsageError on a layer that does not work place by place.

    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(8 * 49, 10))
    >>> convolutional_head(head)(torch.zeros(1, 8, 12, 12)).shape
    torch.Size([1, 10, 6, 6])
    """
    made: list[nn.Module] = []
    for layer in _in_order(head):
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            size = size or _pair(layer.output_size)
        elif isinstance(layer, nn.Linear):
            first = not any(isinstance(other, nn.Conv2d) for other in made)
            made.append(conv_from_linear(layer, _known(size) if first else (1, 1)))
        elif isinstance(layer, PER_PLACE):
            made.append(copy.deepcopy(layer))
        elif not isinstance(layer, nn.Flatten):
            raise UsageError(f"{type(layer).__name__} in a head: no convolutional form is known")
    return nn.Sequential(*made)


def _in_order(head: nn.Module) -> list[nn.Module]:
    if not isinstance(head, nn.Sequential):
        return [head]
    return [layer for child in head for layer in _in_order(child)]


def _pair(size: object) -> tuple[int, int]:
    height, width = size if isinstance(size, tuple) else (size, size)
    if not isinstance(height, int) or not isinstance(width, int):
        raise UsageError(f"AdaptiveAvgPool2d({size}) leaves the size open; give size=(h, w)")
    return height, width


def _known(size: tuple[int, int] | None) -> tuple[int, int]:
    if size is None:
        raise UsageError("which maps the first Linear sees is not known; give size=(h, w)")
    return size
