"""VGG, arXiv:1409.1556 table 1: 3x3 only; two see 5x5, three see 7x7, on fewer weights.

x_BCHW -> five blocks, each halves H and W -> fc 4096 -> fc 4096 -> logits_BK
The pooling to 7x7 before the first fc does nothing at 224x224 and lets other sizes in.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ._columns import Count, Share
from ._names import Named
from ._network import Network
from ._parts import classifier, conv_relu, he_init, pooled_head, relu
from ._row import Row


@dataclass(frozen=True)
class VGG(Row):
    """`depths` convolutions in each block; `last` is the kernel of a block's third one.

    >>> VGG(0, 0, (1, 1, 1, 1, 1), hidden=8).make(10).stages
    ('block1', 'block2', 'block3', 'block4', 'block5')
    """

    depths: tuple[Count, Count, Count, Count, Count]
    norm: bool = False
    last: Literal[1, 3] = 3  # 1 in the paper's configuration C
    widths: tuple[Count, Count, Count, Count, Count] = (64, 128, 256, 512, 512)
    pooled: Count = 7  # side of the maps that the first fc sees
    hidden: Count = 4096
    dropout: Share = 0.5
    slide: bool = False  # timm: the fcs slide over larger maps, and their answers are averaged
    family = "VGG"
    paper = "arXiv:1409.1556"
    names = (
        Named("torchvision", "features.# classifier.#", {"slide": False}),
        Named("timm", "features.# pre_logits.fc# head.fc", {"slide": True}),
    )
    small = {"pooled": 1, "hidden": 512}
    thin = {"widths": (8, 8, 16, 16, 16), "hidden": 32, "pooled": 1}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stages: dict[str, nn.Module] = {}
        cin = channels
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            layers: list[nn.Module] = []
            for place in range(depth):
                size = self.last if place == 2 else 3
                layers.append(nn.Conv2d(cin, width, size, padding=size // 2))
                layers += [nn.BatchNorm2d(width), relu()] if self.norm else [relu()]
                cin = width
            stages[f"block{i}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
        head = _sliding_head if self.slide else _head
        return he_init(Network(stages, head(cin, classes, self), channels))


def _head(cin: int, classes: int, row: VGG) -> nn.Sequential:
    fcs = classifier(cin * row.pooled**2, row.hidden, classes, row.dropout)
    return nn.Sequential(nn.AdaptiveAvgPool2d(row.pooled), nn.Flatten(), *fcs)


def _sliding_head(cin: int, classes: int, row: VGG) -> nn.Sequential:
    fcs: list[nn.Module] = []
    for size, width in ((row.pooled, cin), (1, row.hidden)):
        fcs += [conv_relu(width, row.hidden, size, padding=0), nn.Dropout(row.dropout)]
    mean = pooled_head(row.hidden, classes)
    return nn.Sequential(PoolUpTo(row.pooled), *fcs, *mean)


class PoolUpTo(nn.Module):
    """x_BCHW -> the same, or with a side below `size` averaged up to it.

    >>> import torch
    >>> PoolUpTo(7)(torch.zeros(1, 4, 1, 9)).shape
    torch.Size([1, 4, 7, 9])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C, max(H, size), max(W, size))."""
        height, width = (max(side, self.size) for side in x.shape[2:])
        return x if (height, width) == x.shape[2:] else F.adaptive_avg_pool2d(x, (height, width))


V1 = "IMAGENET1K_V1"
VGG16 = VGG(138_357_544, 15_470_264_320, (2, 2, 3, 3, 3), top1=(71.592, V1))

BN: dict[str, Any] = {"norm": True, "family": "VGG-BN"}

TABLE = {  #     parameters  multiply-adds  convs in each block
    "tv:vgg11": VGG(132_863_336, 7_609_090_048, (1, 1, 2, 2, 2), top1=(69.02, V1)),
    "tv:vgg13": VGG(133_047_848, 11_308_466_176, (2, 2, 2, 2, 2), top1=(69.928, V1)),
    "tv:vgg16": VGG16,
    "timm:vgg16": replace(VGG16, slide=True, top1=(71.594, "tv_in1k")),
    "tv:vgg19": VGG(143_667_240, 19_632_062_464, (2, 2, 4, 4, 4), top1=(72.376, V1)),
    "tv:vgg11_bn": VGG(132_868_840, 7_609_090_048, (1, 1, 2, 2, 2), top1=(70.37, V1), **BN),
    "tv:vgg13_bn": VGG(133_053_736, 11_308_466_176, (2, 2, 2, 2, 2), top1=(71.586, V1), **BN),
    "tv:vgg16_bn": VGG(138_365_992, 15_470_264_320, (2, 2, 3, 3, 3), top1=(73.36, V1), **BN),
    "tv:vgg19_bn": VGG(143_678_248, 19_632_062_464, (2, 2, 4, 4, 4), top1=(74.218, V1), **BN),
    "paper:vgg_c": VGG(133_638_952, 11_770_888_192, (2, 2, 3, 3, 3), last=1),
}
