"""LeNet-5, LeCun 1998 (Gradient-based learning applied to document recognition), figure 2.

x_BCHW -> conv 5x5 -> pool -> conv 5x5 -> pool -> fc 120 -> fc 84 -> logits_BK
The paper's C3 sees a chosen part of the maps, its pooling has trainable gains and its output is
radial; `lenet5` is the dense form in use since. `lenet5_bn` is the same five layers with padding,
batch norm, ReLU and max pooling, for any image from 4x4 up.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from ._columns import Count, Share
from ._network import Network
from ._parts import conv_bn, he_init
from ._row import Row


@dataclass(frozen=True)
class LeNet(Row):
    """Five layers; the first linear one is sized for images of `imgsz`.

    >>> LeNet(0, 0, imgsz=28, norm=True).make(10, 1).stages
    ('conv1', 'conv2')
    """

    norm: bool = False
    maps: tuple[Count, Count] = (6, 16)
    hidden: tuple[Count, Count] = (120, 84)
    dropout: Share = 0.0
    imgsz: Count = 32
    input = (1, 32, 32)
    classes = 10
    family = "LeNet"
    paper = "LeCun 1998"
    thin = {}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK, H = W = imgsz."""
        block = _modern if self.norm else _classic
        stages = {"conv1": block(channels, self.maps[0]), "conv2": block(*self.maps)}
        side = self.imgsz // 4 if self.norm else ((self.imgsz - 4) // 2 - 4) // 2
        head = _head(self.maps[1] * max(side, 1) ** 2, self, classes)
        net = Network(stages, head, channels)
        return he_init(net) if self.norm else net


def _classic(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 5), nn.Tanh(), nn.AvgPool2d(2))


def _modern(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(cin, cout, 5), nn.MaxPool2d(2))


def _head(cin: int, row: LeNet, classes: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, width in enumerate(row.hidden, 1):
        layers[f"fc{i}"] = nn.Linear(cin, width, bias=not row.norm)
        if row.norm:
            layers[f"bn{i}"] = nn.BatchNorm1d(width)
        layers[f"act{i}"] = nn.ReLU(inplace=True) if row.norm else nn.Tanh()
        if row.dropout:
            layers[f"drop{i}"] = nn.Dropout(row.dropout)
        cin = width
    layers["fc"] = nn.Linear(cin, classes)
    return nn.Sequential(layers)


TABLE = {  #               parameters  multiply-adds
    "paper:lenet5": LeNet(61_706, 416_520),
    "lenet5_bn": LeNet(270_394, 3_943_080, norm=True, maps=(16, 32)),
}
