"""Receptive field (notes 003): the region of the input that one output depends on.

Three 3x3 convolutions see 7x7 as one 7x7 does, with 27 C^2 weights for 49 C^2 and two more
nonlinearities. In closed form a layer adds (kernel - 1) * dilation steps of the strides before it;
by gradient it is where an output's derivative is not zero.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Receptive field": Part(
        "Layers and shapes",
        "sn.nn.field_of_stack, sn.nn.field_by_gradient, sn.nn.layers",
        "in closed form, by gradient, and for each layer of a net; 3 x 3x3 see 7x7",
        "003",
    ),
}


def field_of_stack(kernels: Sequence[int], strides: Sequence[int] | None = None) -> int:
    """The side of the region that one output of a stack of windows sees, padding included.

    Raises UsageError where the strides are not as many as the kernels.

    >>> [field_of_stack([3] * depth) for depth in (1, 2, 3)], field_of_stack([7, 3], [2, 2])
    ([3, 5, 7], 11)
    """
    strides = [1] * len(kernels) if strides is None else strides
    if len(strides) != len(kernels):
        raise UsageError(f"{len(kernels)} kernels and {len(strides)} strides; one each is wanted")
    reach, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        reach, step = reach + (kernel - 1) * step, step * stride
    return reach


def field_by_gradient(net: nn.Module, input: tuple[int, int, int]) -> tuple[int, int]:
    """A net x_BCHW -> maps_BKhw and the shape (C, H, W) -> (height, width) that the middle sees.

    Measured on a copy in eval mode whose weights are all averages and whose max pooling is average
    pooling: what an output can see, not what it happens to use. Pixels beyond the picture's edge do
    not count. Raises UsageError where the net does not give maps, and where no pixel moves them.

    >>> field_by_gradient(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), (1, 9, 9))
    (4, 4)
    """
    net = _averaging(net)
    x_BCHW = torch.ones(1, *input, dtype=torch.float64, requires_grad=True)
    maps = net(x_BCHW)
    if maps.ndim != 4:
        raise UsageError(f"the net gives {tuple(maps.shape)}; maps (B, K, h, w) are wanted")
    maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
    assert x_BCHW.grad is not None
    seen_HW = (x_BCHW.grad[0] != 0).any(0)
    if not seen_HW.any():
        raise UsageError(
            "no pixel moves the output; leave out what fixes it, as a softmax at the end"
        )
    rows, columns = seen_HW.any(1).nonzero().flatten(), seen_HW.any(0).nonzero().flatten()
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


@torch.no_grad()
def _averaging(net: nn.Module) -> nn.Module:
    """A copy in which nothing cancels, dies or saturates."""
    net = copy.deepcopy(net).cpu().double().eval()
    for name, values in net.named_parameters():
        alike = 1 / values[0].numel() if values.ndim > 1 else float(not name.endswith("bias"))
        values.fill_(alike)
    for module in list(net.modules()):
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, _as_average(child))
    return net


def _as_average(pool: nn.MaxPool2d) -> nn.Module:
    size, padding = pool.kernel_size, pool.padding
    return nn.AvgPool2d(size, pool.stride, padding, ceil_mode=pool.ceil_mode)
