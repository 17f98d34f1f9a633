"""Pieces shared by several families. A piece used by one family lives in that family's file."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

relu = partial(nn.ReLU, inplace=True)


def conv_bn(
    cin: int,
    cout: int,
    size: int | tuple[int, int],
    stride: int = 1,
    *,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = relu,
    eps: float = 1e-5,
) -> nn.Sequential:
    """x_BCHW -> (B, cout, H/stride, W/stride): conv without bias, batch norm, activation.

    >>> conv_bn(3, 8, 3, 2)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 8, 16, 16])
    """
    if padding is None:
        padding = size // 2 if isinstance(size, int) else (size[0] // 2, size[1] // 2)
    conv = nn.Conv2d(cin, cout, size, stride, padding, groups=groups, bias=False)
    layers = [("conv", conv), ("bn", nn.BatchNorm2d(cout, eps))]
    return nn.Sequential(OrderedDict([*layers, ("act", act())] if act else layers))


def conv_relu(
    cin: int, cout: int, size: int, stride: int = 1, *, padding: int | None = None, groups: int = 1
) -> nn.Sequential:
    """x_BCHW -> (B, cout, H/stride, W/stride): convolution with bias, then ReLU."""
    pad = size // 2 if padding is None else padding
    conv = nn.Conv2d(cin, cout, size, stride, pad, groups=groups)
    return nn.Sequential(OrderedDict(conv=conv, act=relu()))


def pooled_head(cin: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """x_BCHW -> mean over HW -> dropout -> logits_BK."""
    layers: list[tuple[str, nn.Module]] = [("pool", nn.AdaptiveAvgPool2d(1))]
    layers += [("flatten", nn.Flatten())]
    layers += [("drop", nn.Dropout(dropout))] if dropout else []
    return nn.Sequential(OrderedDict([*layers, ("fc", nn.Linear(cin, classes))]))


class Branches(nn.Module):
    """x_BCHW -> every branch's output side by side along the channels (GoogLeNet's concat)."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, sum of the branches' channels, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def he_init(net: nn.Module) -> None:
    """He's initial weights (arXiv:1502.01852) for ReLU layers, in place; biases zero.

    The last linear layer keeps PyTorch's smaller ones, so that the first loss is near ln K.
    """
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    last = [m for m in layers if isinstance(m, nn.Linear)][-1:]
    for layer in layers:
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if layer not in last:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def image_stem(channels: int, width: int, kind: str) -> nn.Sequential:
    """x_BCHW -> (B, width, H/4, W/4): 7x7 stride 2, pool 3x3 stride 2; "small" is 3x3, H stays."""
    if kind == "small":
        return conv_bn(channels, width, 3)
    return conv_bn(channels, width, 7, 2).append(nn.MaxPool2d(3, 2, 1))
