"""Pre-activation ResNet, arXiv:1603.05027: norm and ReLU stand before each convolution.

x_BCHW -> stem conv -> stages of x + F(relu(bn(x))) -> norm, ReLU -> mean over HW -> logits_BK
The sum is not rectified, so a signal crosses the whole network unchanged. Where the shape changes,
the shortcut is a 1x1 convolution of the activated input.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ._network import Network
from ._parts import conv_bn, he_init, relu
from ._row import Row


class PreActivated(nn.Module):
    """x_BCHW -> branch(a) + (shortcut(a) or x), with a = relu(bn(x))."""

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
    """`expansion` 1 is the basic block of two 3x3, 4 the bottleneck."""

    expansion: int
    depths: tuple[int, ...]
    params: int
    macs: int
    width: int = 64
    stride_on: str = "3x3"
    stem: str = "imagenet"
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000
    family = "PreAct ResNet"
    paper = "arXiv:1603.05027"
    names = ("stem.conv stages.#.blocks.#.(downsample.conv norm# conv#) norm head.fc",)
    small = {"stem": "small"}
    thin = {"width": 16, "stem": "small", "depths": (1, 2, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stem = nn.Sequential(nn.Conv2d(channels, self.width, 3, 1, 1, bias=False))
        if self.stem == "imagenet":
            conv = nn.Conv2d(channels, self.width, 7, 2, 3, bias=False)
            stem = nn.Sequential(conv, nn.MaxPool2d(3, 2, 1))
        stages: dict[str, nn.Module] = {"stem": stem}
        cin = self.width
        for stage, depth in enumerate(self.depths):
            width = self.width << stage
            strides = [2 if stage else 1] + [1] * (depth - 1)
            blocks = []
            for stride in strides:
                blocks.append(_block(cin, width, stride, self))
                cin = width * self.expansion
            stages[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        stages["norm"] = nn.Sequential(nn.BatchNorm2d(cin), relu())
        return he_init(Network(stages, _head(cin, classes), channels))


def _block(cin: int, width: int, stride: int, row: PreAct) -> nn.Module:
    cout = width * row.expansion
    if row.expansion == 1:
        branch = conv_bn(cin, width, 3, stride)
    else:
        first, second = (stride, 1) if row.stride_on == "1x1" else (1, stride)
        branch = nn.Sequential(conv_bn(cin, width, 1, first), conv_bn(width, width, 3, second))
    size = 3 if row.expansion == 1 else 1
    branch.append(nn.Conv2d(width, cout, size, 1, size // 2, bias=False))
    return PreActivated(cin, cout, stride, branch, cin != cout or stride != 1)


def _head(cin: int, classes: int) -> nn.Sequential:
    layers = [("pool", nn.AdaptiveAvgPool2d(1)), ("fc", nn.Conv2d(cin, classes, 1))]
    return nn.Sequential(OrderedDict([*layers, ("flatten", nn.Flatten())]))


CIFAR: dict[str, Any] = {"width": 16, "stem": "small", "input": (3, 32, 32), "classes": 10}

TABLE = {  #          expansion  conv2_x..conv5_x  parameters  multiply-adds
    "timm:resnetv2_18": PreAct(1, (2, 2, 2, 2), 11_687_720, 1_814_073_344),
    "timm:resnetv2_34": PreAct(1, (3, 4, 6, 3), 21_795_880, 3_663_761_408),
    "timm:resnetv2_50": PreAct(4, (3, 4, 6, 3), 25_549_352, 4_089_184_256),
    "timm:resnetv2_101": PreAct(4, (3, 4, 23, 3), 44_541_480, 7_801_405_440),
    "timm:resnetv2_152": PreAct(4, (3, 8, 36, 3), 60_185_128, 11_513_626_624),
    "paper:preact_resnet164_cifar": PreAct(
        4, (18,) * 3, 1_703_258, 244_500_992, stride_on="1x1", **CIFAR
    ),
    "paper:preact_resnet1001_cifar": PreAct(
        4, (111,) * 3, 10_327_706, 1_487_849_984, stride_on="1x1", **CIFAR
    ),
}
