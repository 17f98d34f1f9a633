"""Convolutions that take, shape by shape, the quicker of the library's way and another.

oneDNN's bfloat16 convolutions are hard to beat on large maps and collapse on small ones: on a 4x4
map of 512 channels the weight gradient takes five times as long as the same sum as one matrix
product; so do gradients of depthwise convolutions with stride or on the smallest maps (`python
bench/levers.py` prints what a step gains). Which way is quicker is timed when a shape is first met,
for the output and each gradient apart, and remembered per machine.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
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
from ._layout import channels_last
from ._traced import as_plain, unchosen
from .depthwise import lacking, roomy_gradient, spread_gradient
from .im2col import Geometry, Pair, input_gradient, matrix_conv, weight_gradient
from .norm_by_shape import InTurn, NormByShape, fuse_norms
from .quickest import Quickest, machine_table
from .transposed_by_shape import TransposedByShape

PARTS = {
    "Convolution by shape": Part(
        "Layers and shapes",
        "sn.accelerate, sn.nn.ConvByShape, sn.nn.matrix_conv, sn.nn.spread_gradient, "
        "sn.nn.roomy_gradient, sn.nn.Quickest",
        "the quicker of two ways for the output and each gradient: oneDNN, or a matrix product",
    ),
}
WAYS = 3  # raised when one of the ways becomes quicker, so that shapes are timed anew


def accelerate(net: nn.Module, *, convolutions: bool = True, norms: bool = True) -> nn.Module:
    """The network, channels last, computed in the quicker of two ways for each shape.

    So are its convolutions, and while it trains its batch norms with the ReLU after them.

    Works on any network, in place: parameters, names, hooks and `state_dict` stay; only plain
    `nn.Conv2d`, `nn.ConvTranspose2d`, `nn.BatchNorm2d` and `nn.Sequential` change their class.
    Outputs and gradients equal the former within rounding. On a GPU, and where the network is
    compiled, exported, traced, transformed (`torch.func`, forward mode, batched gradients) or run
    under a dispatch mode, the library's way is taken; `torch.jit.script` puts the plain layers
    back. The first pass of each shape is timed; the choices are kept in the user's cache folder
    (SNELLEN_CACHE moves it).

    Maps lie channels last, so `x.view(len(x), -1)` raises as on any such map: write `x.flatten(1)`.

    >>> import snellen as sn
    >>> net = sn.accelerate(sn.model("resnet18", classes=10))
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    if not isinstance(net, nn.Module):
        raise UsageError(
            f"sn.accelerate takes a network: an instance of nn.Module, not {net!r:.80}"
        )
    before = _tables(net)
    quickest = before[0] if before else Quickest(machine_table(f"convolution{WAYS}"))
    for module in net.modules() if convolutions else ():
        if type(module) in CHOOSING:
            module.__class__ = CHOOSING[type(module)]
            cast(ConvByShape, module).quickest = quickest
    if norms:
        fuse_norms(net, quickest)
    return channels_last(net)


def is_accelerated(net: nn.Module) -> bool:
    """Whether a network, or a part of it, went through `accelerate`."""
    return bool(_tables(net))


def slowed(net: nn.Module) -> None:
    """Take back, in place, what `accelerate` did to the classes of a network."""
    plain: dict[type, type] = {NormByShape: nn.BatchNorm2d, InTurn: nn.Sequential}
    plain |= {choosing: kind for kind, choosing in CHOOSING.items()}
    for module in net.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]
            vars(module).pop("quickest", None)


def choices(net: nn.Module) -> dict[str, bool]:
    """What `accelerate` has chosen so far: shape -> whether the library's way is left."""
    return {key: value for quickest in _tables(net)[:1] for key, value in quickest.table.items()}


def recall(net: nn.Module, table: dict[str, bool]) -> None:
    """Let an accelerated network choose as another did: rounding is then the same too."""
    for quickest in _tables(net):
        quickest.table.update(table)


def _tables(net: nn.Module) -> list[Quickest]:
    kinds = (*CHOOSING.values(), NormByShape)
    return [cast(ConvByShape, m).quickest for m in net.modules() if isinstance(m, kinds)]


class ConvByShape(nn.Conv2d):
    """x_BCHW -> (B, O, H', W'): `nn.Conv2d`, computed in the quicker of two ways.

    Made by `accelerate`.

    >>> net = accelerate(nn.Sequential(nn.Conv2d(3, 8, 3)))
    >>> type(net[0]).__name__, net(torch.zeros(1, 3, 5, 5)).shape
    ('ConvByShape', torch.Size([1, 8, 3, 3]))
    """

    quickest: Quickest

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, O, H', W')."""
        if not (may_choose(self, x) and self._may_gain(x)):
            return cast(Tensor, unchosen(self, nn.Conv2d, x))
        dtype = computed_in(x)
        bias = None if self.bias is None else self.bias.to(dtype)
        sums = Direct(geometry_of(self), self.groups)
        out: Tensor = ByShape.apply(x.to(dtype), self.weight.to(dtype), bias, sums, self.quickest)
        return out

    def __prepare_scriptable__(self) -> nn.Module:
        return as_plain(self, nn.Conv2d)

    def _may_gain(self, x: Tensor) -> bool:
        """Whether there is another way than the library's here, and it may be the quicker one."""
        geometry = geometry_of(self)
        height, width = geometry.out((x.shape[2], x.shape[3]))
        if min(height, width, len(x)) <= 0 or x.shape[1] != self.in_channels:
            return False
        if self.groups == 1:
            fits = self.in_channels >= FEW_CHANNELS and height * width <= LARGE_MAP
        else:
            depthwise = self.groups == self.in_channels == self.out_channels
            size = (x.shape[2], x.shape[3])
            slow = geometry.stride != (1, 1) or max(lacking(size, geometry)) > 0
            fits = depthwise and slow and min(geometry.reach()) >= 0
        return fits and x.is_contiguous(memory_format=torch.channels_last)


CHOOSING: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: ConvByShape,
    nn.ConvTranspose2d: TransposedByShape,
}


@dataclass(frozen=True)
class Direct(Sums):
    """A convolution's. With groups it is depthwise: its output has no other way, its gradient at
    the weights only on maps smaller than the kernel.
    """

    geometry: Geometry
    groups: int = 1
    word = ""

    def out(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Ways:
        """x_BCHW -> (B, O, H', W')."""
        geometry, groups = self.geometry, self.groups

        def library() -> Tensor:
            return F.conv2d(x, weight, bias, *geometry[1:], groups)

        def product() -> Tensor:
            return matrix_conv(x, weight, bias, geometry=geometry)

        return library, product if groups == 1 else None

    def to_input(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output -> that at x."""
        size: Pair = (x.shape[2], x.shape[3])
        way = input_gradient if self.groups == 1 else spread_gradient
        return self._library(0, grad, x, weight), lambda: way(
            size, weight, grad, geometry=self.geometry
        )

    def to_weight(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output -> that at the weight."""
        library = self._library(1, grad, x, weight)
        if self.groups == 1:
            return library, lambda: weight_gradient(x, grad, self.geometry)
        if max(lacking((x.shape[2], x.shape[3]), self.geometry)) <= 0:
            return library, None
        return library, lambda: roomy_gradient(x, weight, grad, geometry=self.geometry)

    def _library(self, to: int, grad: Tensor, x: Tensor, weight: Tensor) -> Way:
        geometry, groups = self.geometry, self.groups
        return lambda: library_gradient(to, grad, x, weight, geometry=geometry, groups=groups)
