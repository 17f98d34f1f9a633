"""Receptive field (notes 003): the region of the input that one output depends on.

Three 3x3 convolutions see 7x7 as one 7x7 does, with 27 C^2 weights for 49 C^2 and two more
nonlinearities. In closed form a layer adds (kernel - 1) * dilation steps of the strides before it;
by gradient it is where an output's derivative is not zero.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

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
MAXIMA = (
    nn.functional.max_pool2d, nn.functional.max_pool2d_with_indices, torch.max_pool2d,
    nn.functional._max_pool2d,  # type: ignore[attr-defined]
)  # fmt: skip


def field_of_stack(kernels: Sequence[int], strides: Sequence[int] | None = None) -> int:
    """The side of the region that one output of a stack of windows sees, padding included.

    Raises UsageError where the strides are not as many as the kernels.

    >>> [field_of_stack([3] * depth) for depth in (1, 2, 3)], field_of_stack([7, 3], [2, 2])
    ([3, 5, 7], 11)
    """
    strides = [1] * len(kernels) if strides is None else strides
    if len(strides) != len(kernels):
        raise UsageError(f"{len(kernels)} kernels and {len(strides)} strides; one each is wanted")
    if min([*kernels, *strides], default=1) < 1:
        raise UsageError(f"kernels {kernels} and strides {strides}; each must be 1 or more")
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
    with _Averages():
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
    return net


class _Averages(TorchFunctionMode):
    """Where a maximum is taken of a window, its average is: every pixel of it counts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in MAXIMA:
            return _mean_pool(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _mean_pool(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """An average over the places that a max pooling looks at, borders as zeros."""
    if return_indices:
        raise UsageError("the net asks for the places of its maxima, which averages do not have")
    kernel, step = _two(kernel_size), _two(stride or kernel_size)
    (top, left), apart = _two(padding), _two(dilation)
    more = (step[0] - 1, step[1] - 1) if ceil_mode else (0, 0)
    x = nn.functional.pad(input, (left, left + more[1], top, top + more[0]))
    channels = x.shape[-3]
    weight = x.new_full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]))
    return nn.functional.conv2d(x, weight, stride=step, dilation=apart, groups=channels)


def _two(sides: Any) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[-1])
