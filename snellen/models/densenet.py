"""DenseNet, arXiv:1608.06993 table 1: every layer sees the maps of all layers before it.

x_BCHW -> stem -> dense blocks, each followed by a transition that halves H and W -> norm, ReLU ->
mean over HW -> logits_BK
Each layer adds `growth` maps. "B": a 1x1 to 4 growth first; "C": transitions keep half of the maps.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ._columns import Count, Share, Stem
from ._network import Network
from ._parts import he_init, image_stem, pooled_head, relu
from ._row import Row


class Dense(nn.Module):
    """x_BCHW -> x with `growth` new maps beside it.

    >>> Dense(nn.Conv2d(8, 4, 1))(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 12, 5, 5])
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C + growth, H, W)."""
        return torch.cat([x, self.layer(x)], 1)


@dataclass(frozen=True)
class DenseNet(Row):
    """`depths` layers in each dense block.

    >>> DenseNet(0, 0, 4, (1, 2), width=8).make(10).stages
    ('stem', 'dense1', 'transition1', 'dense2', 'norm')
    """

    growth: Count
    depths: tuple[Count, ...]
    width: Count = 64  # maps of the stem
    compact: bool = True  # the paper's BC
    stem: Stem = "imagenet"
    dropout: Share = 0.0
    family = "DenseNet"
    paper = "arXiv:1608.06993"
    names = (
        "features.conv0 features.norm0 "
        "features.denseblock1.* features.transition1.* features.denseblock2.* "
        "features.transition2.* features.denseblock3.* features.transition3.* "
        "features.denseblock4.* features.norm5 classifier",
    )
    small = {"stem": "small"}
    thin = {"growth": 12, "depths": (2, 2, 2), "width": 16, "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin = self.width
        stem = image_stem(channels, cin, self.stem)
        if self.stem == "small":  # the first norm is the first layer's
            stem = nn.Sequential(nn.Conv2d(channels, cin, 3, 1, 1, bias=False))
        stages: dict[str, nn.Module] = {"stem": stem}
        for i, depth in enumerate(self.depths, 1):
            layers = [_layer(cin + k * self.growth, self) for k in range(depth)]
            stages[f"dense{i}"] = nn.Sequential(*map(Dense, layers))
            cin += depth * self.growth
            if i < len(self.depths):
                cout = cin // 2 if self.compact else cin
                stages[f"transition{i}"] = _activated_conv(cin, cout, 1).append(nn.AvgPool2d(2))
                cin = cout
        stages["norm"] = nn.Sequential(nn.BatchNorm2d(cin), relu())
        return he_init(Network(stages, pooled_head(cin, classes), channels))


def _activated_conv(cin: int, cout: int, size: int) -> nn.Sequential:
    conv = nn.Conv2d(cin, cout, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(cin), relu(), conv)


def _layer(cin: int, row: DenseNet) -> nn.Sequential:
    mid = 4 * row.growth if row.compact else cin
    layers = _activated_conv(cin, mid, 1) if row.compact else nn.Sequential()
    layers.extend(_activated_conv(mid, row.growth, 3))
    return layers.append(nn.Dropout(row.dropout)) if row.dropout else layers


TV121 = DenseNet(7_978_856, 2_834_161_664, 32, (6, 12, 24, 16), top1=(74.434, "IMAGENET1K_V1"))
CIFAR: dict[str, Any] = {"stem": "small", "input": (3, 32, 32), "classes": 10}
PLAIN: dict[str, Any] = {"width": 16, "compact": False, **CIFAR}

TABLE = {  #      parameters  multiply-adds  growth  layers in each block
    "tv:densenet121": TV121,
    "timm:densenet121": replace(TV121, top1=(76.486, "ra_in1k at 288")),
    "tv:densenet161": DenseNet(
        28_681_000, 7_727_907_072, 48, (6, 12, 36, 24), width=96, top1=(77.138, "IMAGENET1K_V1")
    ),
    "tv:densenet169": DenseNet(
        14_149_480, 3_359_843_328, 32, (6, 12, 32, 32), top1=(75.6, "IMAGENET1K_V1")
    ),
    "tv:densenet201": DenseNet(
        20_013_928, 4_291_365_888, 32, (6, 12, 48, 32), top1=(76.896, "IMAGENET1K_V1")
    ),
    "paper:densenet264": DenseNet(33_337_704, 5_751_653_376, 32, (6, 12, 64, 48)),
    "paper:densenet40_k12_cifar": DenseNet(1_019_722, 264_812_928, 12, (12,) * 3, **PLAIN),
    "paper:densenet100_k12_cifar": DenseNet(6_979_642, 1_769_516_448, 12, (32,) * 3, **PLAIN),
    "paper:densenet_bc100_k12_cifar": DenseNet(
        769_162, 287_929_692, 12, (16,) * 3, width=24, **CIFAR
    ),
    "paper:densenet_bc190_k40_cifar": DenseNet(
        25_624_430, 9_301_945_740, 40, (31,) * 3, width=80, **CIFAR
    ),
}
