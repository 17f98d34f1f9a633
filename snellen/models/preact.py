"""Pre-activation ResNet, arXiv:1603.05027: norm and ReLU stand before each convolution.

x_BCHW -> stem conv -> stages of x + F(relu(bn(x))) -> norm, ReLU -> mean over HW -> logits_BK
The sum is not rectified, so a signal crosses the whole network unchanged. Where the shape changes,
the shortcut is a 1x1 convolution of the activated input.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from ._columns import Count, Stem, StrideOn
from ._names import Named
from ._network import Network
from ._parts import conv_bn, he_init, pooled_head, relu
from ._residual import D50, D101, D152, refuse_idle, residual_stages
from ._row import Row


class PreActivated(nn.Module):
    """x_BCHW -> branch(a) + (shortcut(a) or x), with a = relu(bn(x)).

    >>> import torch
    >>> block = PreActivated(4, 8, 2, conv_bn(4, 8, 3, 2), project=True)
    >>> block(torch.zeros(2, 4, 6, 6)).shape
    torch.Size([2, 8, 3, 3])
    """

    def __init__(self, cin: int, cout: int, stride: int, branch: nn.Module, project: bool) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(cin, cout, 1, stride, bias=False) if project else None
        self.norm = nn.Sequential(nn.BatchNorm2d(cin), relu())
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, cout, H/stride, W/stride)."""
        activated = self.norm(x)
        return self.branch(activated) + (x if self.shortcut is None else self.shortcut(activated))


@dataclass(frozen=True)
class PreAct(Row):
    """`expansion` 1 is the basic block of two 3x3, 4 the bottleneck.

    >>> PreAct(0, 0, 4, (1, 2), width=8).make(10).stages
    ('stem', 'layer1', 'layer2', 'norm')
    """

    expansion: Literal[1, 4]
    depths: tuple[Count, ...]
    width: Count = 64
    stride_on: StrideOn = "3x3"
    stem: Stem = "imagenet"
    family = "PreAct ResNet"
    paper = "arXiv:1603.05027"
    names = (
        Named(
            "timm",
            "stem.conv stages.#.blocks.#.(downsample.conv norm# conv#) norm head.fc",
            {"stride_on": "3x3"},
        ),
    )
    small = {"stem": "small"}
    thin = {"width": 16, "stem": "small", "depths": (1, 2, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        if self.expansion == 1:
            refuse_idle(self, "stride_on")
        size, stride = (3, 1) if self.stem == "small" else (7, 2)
        conv = nn.Conv2d(channels, self.width, size, stride, size // 2, bias=False)
        pool = [] if self.stem == "small" else [nn.MaxPool2d(3, 2, 1)]
        stages: dict[str, nn.Module] = {"stem": nn.Sequential(conv, *pool)}
        layers, cin = residual_stages(partial(_block, row=self), self.width, self.depths)
        stages |= layers
        stages["norm"] = nn.Sequential(nn.BatchNorm2d(cin), relu())
        return he_init(Network(stages, pooled_head(cin, classes), channels))


def _block(cin: int, width: int, stride: int, row: PreAct) -> tuple[nn.Module, int]:
    cout = width * row.expansion
    if row.expansion == 1:
        branch = conv_bn(cin, width, 3, stride)
    else:
        first, second = (stride, 1) if row.stride_on == "1x1" else (1, stride)
        branch = nn.Sequential(conv_bn(cin, width, 1, first), conv_bn(width, width, 3, second))
    size = 3 if row.expansion == 1 else 1
    branch.append(nn.Conv2d(width, cout, size, 1, size // 2, bias=False))
    return PreActivated(cin, cout, stride, branch, cin != cout or stride != 1), cout


CIFAR: dict[str, Any] = {"width": 16, "stem": "small", "input": (3, 32, 32), "classes": 10}

TABLE = {  #          parameters  multiply-adds  expansion  conv2_x..conv5_x
    "timm:resnetv2_18": PreAct(
        11_687_720,
        1_814_073_344,
        1,
        (2, 2, 2, 2),
        top1=(75.364, "ra4_e3600_r224_in1k at 288"),
    ),
    "timm:resnetv2_34": PreAct(
        21_795_880, 3_663_761_408, 1, D50, top1=(79.070, "ra4_e3600_r224_in1k at 288")
    ),
    "timm:resnetv2_50": PreAct(25_549_352, 4_089_184_256, 4, D50, top1=(81.406, "a1h_in1k at 288")),
    "timm:resnetv2_101": PreAct(
        44_541_480, 7_801_405_440, 4, D101, top1=(83.002, "a1h_in1k at 288")
    ),
    "timm:resnetv2_152": PreAct(60_185_128, 11_513_626_624, 4, D152),
    "paper:preact_resnet164_cifar": PreAct(
        1_703_258, 244_500_992, 4, (18,) * 3, stride_on="1x1", **CIFAR
    ),
    "paper:preact_resnet1001_cifar": PreAct(
        10_327_706, 1_487_849_984, 4, (111,) * 3, stride_on="1x1", **CIFAR
    ),
}
