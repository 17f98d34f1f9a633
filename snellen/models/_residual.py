"""The residual block of ResNet (arXiv:1512.03385), shared by the families that grew from it.

A block returns relu(F(x) + skip(x)): the branch F learns the residual, the gradient keeps a
straight path.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ._columns import Shortcut, StrideOn
from ._parts import conv_bn

D50, D101, D152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)  # table 1: blocks of each stage


class Residual(nn.Module):
    """x_BCHW -> relu(branch(x) + skip(x)); a skip of None makes the block plain.

    >>> import torch
    >>> Residual(nn.Identity(), None)(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    def __init__(self, branch: nn.Module, skip: nn.Module | None) -> None:
        super().__init__()
        self.branch, self.skip, self.act = branch, skip, nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, cout, H/stride, W/stride)."""
        out = self.branch(x)
        return self.act(out if self.skip is None else out + self.skip(x))


class PadChannels(nn.Module):
    """x_BCHW -> every `stride`-th pixel, with zero channels up to cout: the paper's option A.

    >>> import torch
    >>> PadChannels(4, 2)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C + extra, H/stride, W/stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def skip_over(cin: int, cout: int, stride: int, kind: Shortcut = "projection") -> nn.Module | None:
    """The way around a branch: identity where the shape stays, else by `kind`.

    "projection" is a 1x1 convolution (option B), "pad" adds zero channels (A), "none" is no way.

    >>> skip_over(4, 4, 1)
    Identity()
    """
    if kind == "none":
        return None
    if cin == cout and stride == 1:
        return nn.Identity()
    return (
        PadChannels(cout - cin, stride)
        if kind == "pad"
        else conv_bn(cin, cout, 1, stride, act=None)
    )


def two_3x3(cin: int, width: int, stride: int) -> nn.Sequential:
    """The branch of a basic block.

    >>> import torch
    >>> two_3x3(4, 8, 2)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """
    return nn.Sequential(conv_bn(cin, width, 3, stride), conv_bn(width, width, 3, act=None))


def refuse_idle(row: Any, *columns: str) -> None:
    """ValueError where a row of basic blocks sets what bottlenecks alone have, and changes nothing.

    >>> import snellen as sn
    >>> refuse_idle(sn.models.row("resnet18"), "groups", "stride_on")
    """
    for word in columns:
        value, usual = getattr(row, word), getattr(type(row), word)
        if value != usual:
            raise ValueError(
                f"{word}={value} is for bottlenecks of 1x1, 3x3 and 1x1; its blocks are of two 3x3 "
                f"and would stay as they are; say {word}={usual}, or leave it out"
            )


def bottleneck(
    cin: int, inner: int, cout: int, stride: int, *, groups: int = 1, on: StrideOn = "3x3"
) -> nn.Sequential:
    """A branch: 1x1 to the inner width, 3x3 in groups, 1x1 to cout; the stride sits `on` one.

    >>> import torch
    >>> bottleneck(256, 128, 512, 2)(torch.zeros(1, 256, 8, 8)).shape
    torch.Size([1, 512, 4, 4])
    """
    strides = (stride, 1) if on == "1x1" else (1, stride)
    return nn.Sequential(
        conv_bn(cin, inner, 1, strides[0]),
        conv_bn(inner, inner, 3, strides[1], groups=groups),
        conv_bn(inner, cout, 1, act=None),
    )


def residual_stages(
    block: Callable[[int, int, int], tuple[nn.Module, int]],
    width: int,
    depths: Sequence[int],
    *,
    cin: int | None = None,
) -> tuple[dict[str, nn.Module], int]:
    """block(cin, width, stride) -> layer1, layer2, ... and the last output channels.

    The width doubles from stage to stage, and the first block of each but the first halves H and W.
    """
    stages: dict[str, nn.Module] = {}
    cin = width if cin is None else cin
    for stage, depth in enumerate(depths):
        blocks = []
        for i in range(depth):
            made, cin = block(cin, width << stage, 2 if stage and i == 0 else 1)
            blocks.append(made)
        stages[f"layer{stage + 1}"] = nn.Sequential(*blocks)
    return stages, cin
