"""Xception, arXiv:1610.02357 figure 5: separable convolutions all through, with shortcuts.

x_BCHW -> entry (19x19 of 299) -> eight middle blocks -> exit (10x10) -> mean over HW -> logits_BK
"""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ._columns import Count, Natural, Share
from ._network import Network
from ._parts import conv_bn, he_init, pooled_head, relu
from ._row import Row


class Block(nn.Module):
    """x_BCHW -> branch(x) + skip(x); skip is a 1x1 convolution where the shape changes.

    >>> import torch
    >>> Block(nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1))(torch.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(self, branch: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.skip, self.branch = skip, branch

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, cout, H/stride, W/stride)."""
        return self.branch(x) + self.skip(x)


@dataclass(frozen=True)
class Xception(Row):
    """`widths`: stem, three entry blocks, exit block; `last` the two layers after it.

    >>> Xception(0, 0, widths=(8, 8, 16, 16, 24), last=(32, 32), depth=1).make(10).stages[:3]
    ('stem', 'entry1', 'entry2')
    """

    widths: tuple[Count, Count, Count, Count, Count] = (64, 128, 256, 728, 1024)
    last: tuple[Count, Count] = (1536, 2048)
    depth: Natural = 8
    dropout: Share = 0.0
    input = (3, 299, 299)
    family = "Xception"
    paper = "arXiv:1610.02357"
    names = ("conv1 bn1 conv2 bn2 block#.(skip skipbn rep.*) conv3.* bn3 conv4.* bn4 fc",)
    thin = {"widths": (8, 8, 16, 16, 24), "last": (32, 32), "depth": 1}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stem, entry1, entry2, middle, out = self.widths
        first = conv_bn(channels, stem // 2, 3, 2, padding=0)
        stages: dict[str, nn.Module] = {}
        stages["stem"] = nn.Sequential(first, conv_bn(stem // 2, stem, 3, padding=0))
        stages["entry1"] = _block((stem, entry1, entry1), stride=2, starts_active=True)
        stages["entry2"] = _block((entry1, entry2, entry2), stride=2)
        stages["entry3"] = _block((entry2, middle, middle), stride=2)
        for i in range(1, self.depth + 1):
            stages[f"middle{i}"] = _block((middle,) * 4)
        stages["exit"] = _block((middle, middle, out), stride=2)
        wide, last = self.last
        stages["conv1"] = nn.Sequential(*_separable(out, wide), relu())
        stages["conv2"] = nn.Sequential(*_separable(wide, last), relu())
        return he_init(Network(stages, pooled_head(last, classes, self.dropout), channels))


def _separable(cin: int, cout: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(cin, cin, 3, padding=1, groups=cin, bias=False)
    return [depthwise, nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout)]


def _block(widths: tuple[int, ...], stride: int = 1, starts_active: bool = False) -> Block:
    layers: list[nn.Module] = []
    for i, (cin, cout) in enumerate(pairwise(widths)):
        if i or not starts_active:
            layers.append(nn.ReLU(inplace=bool(i)))  # the first one would change the skip's x
        layers += _separable(cin, cout)
    if stride == 2:
        layers.append(nn.MaxPool2d(3, 2, 1))
    same = widths[0] == widths[-1] and stride == 1
    skip = nn.Identity() if same else conv_bn(widths[0], widths[-1], 1, stride, act=None)
    return Block(nn.Sequential(*layers), skip)


TABLE = {"timm:legacy_xception": Xception(
    22_855_952, 8_357_403_496, top1=(79.058, "tf_in1k")
)}  # fmt: skip
