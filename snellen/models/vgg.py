"""VGG, arXiv:1409.1556 table 1: 3x3 only; two see 5x5, three see 7x7, on fewer weights.

x_BCHW -> five blocks, each halves H and W -> fc 4096 -> fc 4096 -> logits_BK
The pooling to 7x7 before the first fc does nothing at 224x224 and lets other sizes in.
"""

from dataclasses import dataclass

from torch import nn

from ._network import Network
from ._parts import classifier, he_init, relu
from ._row import Row


@dataclass(frozen=True)
class VGG(Row):
    """`depths` convolutions in each block; `last` is the kernel of a block's third one."""

    depths: tuple[int, ...]
    params: int
    macs: int
    norm: bool = False
    last: int = 3  # 1 in the paper's configuration C
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    pooled: int = 7  # side of the maps that the first fc sees
    hidden: int = 4096
    dropout: float = 0.5
    family = "VGG"
    paper = "arXiv:1409.1556"
    names = (
        "features.# classifier.#",
        "features.# pre_logits.fc# head.fc",  # timm
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
        fcs = classifier(cin * self.pooled**2, self.hidden, classes, self.dropout)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(self.pooled), nn.Flatten(), *fcs)
        return he_init(Network(stages, head, channels))


VGG16 = VGG((2, 2, 3, 3, 3), 138_357_544, 15_470_264_320)

TABLE = {  #         convs in each block  parameters  multiply-adds
    "tv:vgg11": VGG((1, 1, 2, 2, 2), 132_863_336, 7_609_090_048),
    "tv:vgg13": VGG((2, 2, 2, 2, 2), 133_047_848, 11_308_466_176),
    "tv:vgg16": VGG16,
    "timm:vgg16": VGG16,
    "tv:vgg19": VGG((2, 2, 4, 4, 4), 143_667_240, 19_632_062_464),
    "tv:vgg11_bn": VGG((1, 1, 2, 2, 2), 132_868_840, 7_609_090_048, norm=True),
    "tv:vgg13_bn": VGG((2, 2, 2, 2, 2), 133_053_736, 11_308_466_176, norm=True),
    "tv:vgg16_bn": VGG((2, 2, 3, 3, 3), 138_365_992, 15_470_264_320, norm=True),
    "tv:vgg19_bn": VGG((2, 2, 4, 4, 4), 143_678_248, 19_632_062_464, norm=True),
    "paper:vgg_c": VGG((2, 2, 3, 3, 3), 133_638_952, 11_770_888_192, last=1),
}
